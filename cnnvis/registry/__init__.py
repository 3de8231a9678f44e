"""The plugin system: decorators, options, the search for plugins, and the templates of new ones."""
