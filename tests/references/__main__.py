"""Writes docs/agreement.md: `python tests/references`."""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]
sys.path.append(str(Path(__file__).parents[2]))

from benchmarks import environments
from references import comparing, page


def main() -> None:
    """Measure and write."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--environments", type=Path, default=environments.FOLDER)
    python = environments.made(environments.TORCH, options.parse_args().environments)
    with tempfile.TemporaryDirectory() as folder:
        found = comparing.measured(comparing.Comparison(Path(folder), python))
    page.PAGE.write_text(page.text(found, page.versions(python)), encoding="utf-8")
    print(page.PAGE)


if __name__ == "__main__":
    main()
