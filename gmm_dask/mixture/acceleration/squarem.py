"""Squared extrapolation (Varadhan & Roland 2008): every other pass, from one secant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gmm_dask.mixture.acceleration.extrapolation import Extrapolation, Secant
from gmm_dask.mixture.arrays import Array


def squarem(secants: Sequence[Secant], residual: Array) -> Array:
    """(2α − 1) r₀ + α² v with α = ‖r₀‖ / ‖v‖ (their S3), as seen from g(θ₀).

    The secant is a plain step: r₀ = g(θ₀) − θ₀ and v = g(g(θ₀)) − 2 g(θ₀) + θ₀, which leads to
    θ₀ + 2 α r₀ + α² v.
    """
    first, curvature = secants[-1].step, -secants[-1].drop
    alpha = max(1.0, float(np.linalg.norm(first) / np.linalg.norm(curvature)))
    return (2 * alpha - 1) * first + alpha**2 * curvature if alpha > 1 else residual


SQUAREM = Extrapolation(squarem, order=1, cycles=True)
