"""Anderson mixing (Walker & Ni 2011), damped and restarted as for EM in DAAREM."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gmm_dask.mixture.acceleration.extrapolation import Extrapolation, Secant
from gmm_dask.mixture.arrays import Array

DAMPING = 1e-4
"""Of the least squares, relative to the largest singular value."""


def anderson(secants: Sequence[Secant], residual: Array) -> Array:
    """r + (S − Y) γ with γ minimising ‖r − Y γ‖ (Henderson & Varadhan 2019).

    Y (P, m): by how much the residual fell along the steps S (P, m); columns of length one.
    """
    lengths = [float(np.linalg.norm(secant.drop)) for secant in secants]
    drops = np.stack([s.drop / n for s, n in zip(secants, lengths, strict=True)], axis=1)
    steps = np.stack([s.step / n for s, n in zip(secants, lengths, strict=True)], axis=1)
    left, values, right = np.linalg.svd(drops, full_matrices=False)
    filtered = values / (values**2 + (DAMPING * values[0]) ** 2)
    shares = right.T @ (filtered * (left.T @ residual))
    return residual + (steps - drops) @ shares


ANDERSON = Extrapolation(anderson, order=5)
