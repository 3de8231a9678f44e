"""``python -m cnnvis`` is the command ``cnnvis``."""

from cnnvis.cli import entry

if __name__ == "__main__":
    entry()
