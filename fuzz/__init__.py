"""Coverage-guided fuzzing of what reads strangers' files: ``python -m fuzz TARGET SECONDS``."""
