"""What a person keeps in files: defaults, and chains."""
