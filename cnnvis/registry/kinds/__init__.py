"""The kinds of plugins, a module each: its decorator, and what a plugin of it must give."""
