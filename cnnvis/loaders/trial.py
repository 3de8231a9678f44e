"""Code in a file that somebody trusts, tried in a process of its own.

Python's bytecode holds for one version of Python and does not say for which: another one refuses
it, computes something else or crashes. So it is loaded and run once where a crash does no harm.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.loaders.arithmetic import known
from cnnvis.loaders.config import every_layer, name_of

if TYPE_CHECKING:
    from cnnvis.loaders.building import Asked

SECONDS = 300
TRYING = "CNNVIS_TRYING_A_MODEL"
"""Set in the process in which a file is tried."""


def require_running(path: Path, asked: Asked, architecture: str | None, config: Any) -> None:
    """Refuse a file whose Lambdas do not run with this Python; one without any is not tried.

    Raises
    ------
    UserError
        Saying which layer it is and what became of it.
    """
    given = {one.rpartition("=")[0] for one in (*asked.custom, *asked.lambdas)}
    code = [
        name_of(layer)
        for layer in every_layer(config)
        if layer.get("class_name") == "Lambda"
        and known(layer) is None
        and name_of(layer) not in given
    ]
    if not code or TRYING in os.environ:
        return
    words = [str(path), json.dumps(asdict(asked)), json.dumps(architecture)]
    try:
        done = subprocess.run(
            **cnnvis.child_process("cnnvis.loaders.trial", *words, settings={TRYING: "1"}),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        problem = done.stdout.strip().splitlines()[-1:] if done.returncode == 2 else []
        became = problem[0] if problem else f"ends it with code {done.returncode}"
        if done.returncode == 0:
            return
    except subprocess.TimeoutExpired:
        became = f"does not come to an end in {SECONDS} seconds"
    version = ".".join(map(str, sys.version_info[:2]))
    raise cnnvis.UserError(
        f"the code of the Lambda {code[0]!r} does not run with Python {version}, perhaps since "
        f"another version compiled it: trying it {became}. Its function can be given instead: "
        f"--lambda {code[0]}=module:function"
    )


def main(path: str, asked: str, architecture: str) -> None:
    """Load the file and run the network once; exit with 2 and a sentence if that fails."""
    import numpy as np

    said = {key: value for key, value in json.loads(asked).items() if value}
    said["architecture"] = json.loads(architecture)
    try:
        model = cnnvis.load_model(path, **{key: value for key, value in said.items() if value})
        shape = [size or 8 for size in model.input_shape]
        if len(model.inputs) == 1:
            model.predict(np.zeros((1, *shape), np.float32))
    except Exception as error:  # whatever the code does, in a process that is only to try it
        print(f"gives {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
        os._exit(2)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
