"""Small network and data that ``demo`` stands for: a selective sweep against neutrality.

``examples/train_demo.py`` simulates the data and trains the network; ``facts.json`` holds its
measurements.
"""

from __future__ import annotations

from pathlib import Path

NAME = "demo"
MODEL = Path(__file__).parent / "model.keras"
DATA = Path(__file__).parent / "data.npz"
IMAGES = (0, 1, 2, 3)
"""Images that are shown by default: two sweeps and two neutral simulations."""
