"""Relevance and multipliers, passed back through a network call by call."""
