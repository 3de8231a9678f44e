"""Techniques of other libraries, in their own code."""
