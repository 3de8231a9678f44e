"""Maps by libraries for PyTorch, of twins of networks: a process in an environment of its own.

    python tests/references/pytorch JOB.npz ANSWER.npz

Of each network, the job holds the twin, the inputs and what else references need, and the names of
the references that are asked for. Maps come back with channels last.
"""

# ruff: noqa: E402
from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[3]))

from benchmarks.without_torchvision import stand_in

stand_in()

import by_cams
import by_captum
import by_shap
import by_zennit
import numpy as np
import other_formulas
import papers
import torch
from case import Case, Reference

from benchmarks.twins import twin

REFERENCES: dict[str, Reference] = {
    name: reference
    for module in (by_captum, by_cams, by_shap, by_zennit, papers, other_formulas)
    for name, reference in module.REFERENCES.items()
}


def main() -> None:
    """Answer a job."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # operations are small
    job, answer = map(Path, sys.argv[1:])
    stored = np.load(job)
    found: dict[str, Any] = {}
    for network, asked in json.loads(str(stored["asked"])).items():
        held = {
            name.partition("/")[2]: stored[name]
            for name in stored
            if name.startswith(f"{network}/")
        }
        x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(held["x"], -1, 1)))
        for name in asked:
            case = Case(held, twin(held), x, int(held["target"]))
            torch.manual_seed(0)
            maps = REFERENCES[name](case)
            array = maps if isinstance(maps, np.ndarray) else maps.detach().numpy()
            found[f"{network}/{name}"] = np.moveaxis(array, 1, -1)
        with torch.no_grad():
            found[f"{network}/outputs"] = twin(held)(x).numpy()
    np.savez(answer, **found)


if __name__ == "__main__":
    main()
