"""``python -m fuzz TARGET [SECONDS]``: fuzz one target with atheris, starting from its corpus.

What is found new goes to ``fuzz/found/TARGET``, inputs that fail to ``fuzz/failed``; both are looked
through by a person, who keeps what is worth keeping in ``fuzz/corpus``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cnnvis", "fuzz"]):
    import cnnvis.cli.parser
    import cnnvis.readers._unpickle  # noqa: F401
    from fuzz.targets import CORPUS, TARGETS


def main(target: str, seconds: str = "60") -> None:
    """Fuzz for so many seconds."""
    found, failed = (Path(__file__).parent / name for name in (f"found/{target}", "failed"))
    for folder in (found, failed):
        folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}", "-max_len=4096", "-timeout=300", "-rss_limit_mb=2048",
        f"-artifact_prefix={failed}/", "-print_final_stats=1",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(found), str(CORPUS / target)], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
