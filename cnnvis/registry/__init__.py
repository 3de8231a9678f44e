"""The plugin system: decorators, options, how plugins are found, and the templates of new ones."""
