"""``python -m cnnvis`` is the command ``cnnvis``."""

from cnnvis.cli.main import entry

if __name__ == "__main__":
    entry()
