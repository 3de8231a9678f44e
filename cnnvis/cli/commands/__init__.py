"""Commands, each a module with its arguments and its main function."""
