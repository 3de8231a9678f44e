"""The verbs that a person calls: run, chain, compare, doctor; each gives what the command of its name shows."""
