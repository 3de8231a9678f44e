"""``python -m fuzz TARGET [SECONDS]``: fuzz one target with atheris, starting from its corpus.

What is found new goes to ``fuzz/found/TARGET``, inputs that fail to ``fuzz/failed``; both are looked
through by a person, who keeps what is worth keeping in ``fuzz/corpus``.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cnnvis", "fuzz"]):
    # What a target imports only later would not be watched.
    from fuzz.targets import CORPUS, TARGETS, changed_tree

LONGEST = 2**14


def main(target: str, seconds: str = "60") -> None:
    """Fuzz for so many seconds."""
    found, failed = (Path(__file__).parent / name for name in (f"found/{target}", "failed"))
    for folder in (found, failed):
        folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=300", "-rss_limit_mb=2048",
        f"-artifact_prefix={failed}/", "-print_final_stats=1",
    ]  # fmt: skip
    words = [sys.argv[0], *options, str(found), str(CORPUS / target)]
    if target == "configuration":
        atheris.Setup(words, TARGETS[target], custom_mutator=_mutated)
    else:
        atheris.Setup(words, TARGETS[target])
    atheris.Fuzz()


def _mutated(data: bytes, longest: int, seed: int) -> bytes:
    """JSON that is changed as such, mostly: bytes changed anywhere seldom are JSON."""
    chance = random.Random(seed)
    other = changed_tree(data, chance) if chance.random() < 0.8 else None
    if other is None or len(other) > longest:
        mutated: bytes = atheris.Mutate(data, longest)
        return mutated
    return other


if __name__ == "__main__":
    main(*sys.argv[1:])
