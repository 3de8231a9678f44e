"""Samples and explanations: their arrays, axes, labels and class names, and the files that hold them."""
