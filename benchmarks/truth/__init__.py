"""A scorecard of known answers: maps are judged where the right answer is known.

    python -m benchmarks.truth [--quick] [--cache FOLDER] [--processes N]

Five suites whose right places are known because the data are made here: selective sweeps, the small
images of XAI-TRIS, grids of digits, motifs in DNA, and lesions in volumes. Every technique of cnnvis that
gives maps of images is scored on them, beside answers that need no network. Then the checks of cnnvis
are judged by the same answers. It writes ``benchmarks/truth.md``, ``truth.json`` and two pictures. The
sweeps are simulated with msprime (``pip install '.[demo]'``); nothing is downloaded.
"""
