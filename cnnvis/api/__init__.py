"""Functions for users: run, chain, compare, doctor, each with the result of its command."""
