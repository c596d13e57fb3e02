"""Places in lower triangles: of small ones made once, for they are asked for in every pass."""

from __future__ import annotations

from functools import cache

import numpy as np

from gmm_dask.mixture.arrays import Indices

SMALL = 64
"""Features; a thousand have a million places."""


def lower_triangle(size: int, diagonal: int = 0) -> tuple[Indices, Indices]:
    """Rows and columns of what is on a diagonal, the main one being 0, and below it."""
    make = _remembered if size <= SMALL else np.tril_indices
    return make(size, diagonal)


@cache
def _remembered(size: int, diagonal: int) -> tuple[Indices, Indices]:
    places = np.tril_indices(size, diagonal)
    for indices in places:
        indices.flags.writeable = False
    return places
