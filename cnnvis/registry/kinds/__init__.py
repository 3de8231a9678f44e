"""Kinds of plugins, a module each: the decorator, and the checks of results."""
