"""Settings in files: defaults, and chains."""
