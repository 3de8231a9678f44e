"""The process of Xplique 2, in an environment of its own that has no cnnvis.

It is run as a file. The modules that it needs import no other packages than Xplique's own.
"""

import sys
import types
from pathlib import Path

HERE = Path(__file__).resolve().parent


def stand_in() -> None:
    """Let the modules beside this file be imported by their names, and nothing else of cnnvis."""
    for folder in (HERE.parents[2], HERE.parents[1], HERE.parents[0], HERE):
        name = ".".join(folder.relative_to(HERE.parents[3]).parts)
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package


def main() -> None:
    """Answer requests from standard input on standard output until there are no more."""
    stand_in()
    from cnnvis.plugins.adapters._processes.serving import serve
    from cnnvis.plugins.adapters._processes.xplique_library import begun

    serve("Xplique", begun)


if __name__ == "__main__":
    main()
