"""Calls of plugins: input and output are checked, in this process or in another process."""
