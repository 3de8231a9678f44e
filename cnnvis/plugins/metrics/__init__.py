"""Metrics of maps, one module each."""
