"""Where to cut rows into blocks: a function of the store's layout and the selection, nothing else.

Independent of the cluster, so that the same data give the same blocks, hence the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from gmm_dask.chunked.sources.protocol import Boundaries


def plan_cuts(
    first: int,
    last: int,
    layouts: Sequence[Boundaries],
    *,
    row_bytes: int,
    target_bytes: int,
    largest_bytes: int,
) -> tuple[int, ...]:
    """Row indices first = c_0 < c_1 < … < c_n = last: blocks of at least target_bytes each.

    Cuts lie on chunk boundaries. A chunk larger than largest_bytes stays one block (less cannot
    be read); rows stored without chunks are cut at target_bytes.
    """
    wanted = max(1, -(-target_bytes // row_bytes))
    if not layouts:
        return (*range(first, last, wanted), last)
    allowed = max(wanted, largest_bytes // row_bytes)
    shared = common_boundaries(layouts, allowed)
    inside = shared[(shared > first) & (shared < last)]
    return _coalesce(np.append(inside, last), first, wanted, allowed)


def common_boundaries(layouts: Sequence[Boundaries], allowed: int) -> Boundaries:
    """Boundaries at which every column's chunks meet, unless those lie too far apart.

    Then the coarsest column's that are near enough: the chunks that this splits are read again
    for each block that they reach into, the less often the coarser the cuts.
    """
    by_size = sorted((np.unique(layout) for layout in layouts), key=len)
    shared: Boundaries = reduce(np.intersect1d, by_size)
    for layout in (shared, *by_size):
        if np.diff(layout).max() <= allowed:
            return layout
    return by_size[0]


def _coalesce(ends: Boundaries, first: int, wanted: int, allowed: int) -> tuple[int, ...]:
    cuts = [first]
    position = 0
    while position < len(ends):
        chosen = min(int(np.searchsorted(ends, cuts[-1] + wanted)), len(ends) - 1)
        # A large chunk behind a few small ones is left to a block of its own.
        if chosen > position and ends[chosen] - cuts[-1] > allowed:
            chosen -= 1
        cuts.append(int(ends[chosen]))
        position = chosen + 1
    return tuple(cuts)
