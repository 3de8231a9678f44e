"""Readers of data, one module a kind of file."""
