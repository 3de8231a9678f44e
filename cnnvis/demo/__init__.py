"""The small network and data that ``demo`` stands for: a selective sweep against neutrality.

``examples/train_demo.py`` simulates the data and trains the network; ``facts.json`` is what it
measured.
"""

from __future__ import annotations

from pathlib import Path

NAME = "demo"
MODEL = Path(__file__).parent / "model.keras"
DATA = Path(__file__).parent / "data.npz"
IMAGES = (0, 1, 2, 3)
"""Images that are shown where nobody asks for others: two sweeps and two neutral simulations."""
