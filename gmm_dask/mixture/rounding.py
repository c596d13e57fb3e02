"""Rounded data: the steps that values keep to.

A likelihood has no bound where a component lies within one step: it has learnt the rounding.
"""

from __future__ import annotations

import numpy as np

from gmm_dask.mixture.arrays import Array

SMALLEST_STEP = 1e-6
"""Of a feature's range: what is finer comes of arithmetic, not of an instrument."""
LOOKED_AT = 1_000
"""Rows of which steps are taken."""
REPEATED = 0.1
"""The share of values that are there already, from which a feature is taken to be rounded."""


def steps_of(rows: Array) -> tuple[float, ...]:
    """The least distance between values (n, D) of each feature, 0 where it is not rounded; nothing
    at all where none is."""
    values = np.sort(np.asarray(rows[:LOOKED_AT], dtype=np.float64), axis=0)
    gaps = np.diff(values, axis=0)
    apart = gaps > SMALLEST_STEP * (values[-1] - values[0])
    rounded = apart.any(axis=0) & (apart.sum(axis=0) < (1 - REPEATED) * len(gaps))
    if not rounded.any():
        return ()
    smallest = np.where(apart, gaps, np.inf).min(axis=0)
    return tuple(np.where(rounded, smallest, 0.0).tolist())
