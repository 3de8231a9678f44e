"""``python -m cnnvis`` is the command ``cnnvis``."""

from cnnvis.cli import main

if __name__ == "__main__":
    main()
