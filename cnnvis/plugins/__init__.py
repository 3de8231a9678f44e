"""Techniques, one module each."""
