"""Loaders of networks, one module a kind of file."""
