"""Renderers, one module each."""
