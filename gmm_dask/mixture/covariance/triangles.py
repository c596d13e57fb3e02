"""Lower triangles of symmetric matrices, and their places: of small ones made once, for they are
asked for in every pass."""

from __future__ import annotations

from functools import cache

import numpy as np

from gmm_dask.mixture.arrays import Array, Indices

SMALL = 64
"""Features; a thousand have a million places."""
LARGE = 2**19
"""Bytes of matrices from which less is kept and sent than is at hand for small ones."""


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


def mirrored(matrices: Array) -> bool:
    """Whether the upper triangles of matrices (..., D, D) tell nothing new, to the last bit."""
    bits = matrices.view(np.int64)
    return all(np.array_equal(one, one.T) for one in bits.reshape(-1, *bits.shape[-2:]))
