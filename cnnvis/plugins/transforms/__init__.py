"""Transforms of explanations, for chains."""
