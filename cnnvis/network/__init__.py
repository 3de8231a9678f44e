"""Keras side: a network as a graph, its gradients, targets, positions and computation."""
