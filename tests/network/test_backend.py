"""The import of TensorFlow and Keras: what a command leaves out, and a person's program does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from cnnvis.network import backend
import numpy as np

backend.leave_extras()
keras = backend.keras()
print(sorted({"cv2", "matplotlib.pyplot", "pandas", "sklearn"} & set(sys.modules)))
network = keras.Sequential([keras.layers.Input((4, 3)), keras.layers.Conv1D(2, 2)])
assert network.predict(np.ones((2, 4, 3)), verbose=0).shape == (2, 3, 2)
import matplotlib.pyplot

print(matplotlib.pyplot.__name__)
"""


@pytest.mark.slow
def test_a_command_imports_none_of_the_extras_of_keras_and_others_still_can() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "matplotlib.pyplot"]


def test_what_was_imported_before_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnvis.network import backend

    monkeypatch.setattr(backend, "_leaves_extras", [True])
    monkeypatch.setitem(sys.modules, "pandas", backend)
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    with backend._without_extras():
        assert sys.modules["pandas"] is backend
        with pytest.raises(ImportError):
            import sklearn  # noqa: F401
    assert sys.modules["pandas"] is backend and "sklearn" not in sys.modules
