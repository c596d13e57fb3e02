"""A quantile of values in any number of rows, by counting: no sample, no sorting, no range given.

The bits of a float64, read as an integer, order as the numbers do. Each pass counts the next 16
bits of the values that share the bits found so far (a radix selection), so after one pass or four
a value is known below which lies the share that was asked for.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.engines.protocol import Engine
from gmm_dask.chunked.rows import Values, Weights
from gmm_dask.mixture.arrays import Array

Keys: TypeAlias = NDArray[np.uint64]

SHARE_ERROR = 1e-5
BITS = 16
LEVELS = 64 // BITS
SIGN = np.uint64(1 << 63)


def quantile(engine: Engine, share: float) -> tuple[float, int, int]:
    """A value t, how many values of the engine's one feature lie below it, and how many there are.

    share − 1e-5 ≤ below / count ≤ share; in fewer than 1e5 values below = ⌊share · count⌋. Equal
    values stay together, so where many are equal fewer may lie below. NaN counts for nothing.
    """
    prefix = below = count = level = 0
    while level < LEVELS:
        counts = engine.map_reduce(
            count_block, (prefix, level), name="quantile", step=level, every_row=True
        )
        if level == 0:
            count = int(counts.sum())
        chosen, before = _holder_of(int(share * count) - below, counts)
        prefix, below, level = prefix << BITS | chosen, below + before, level + 1
        if counts[chosen] <= SHARE_ERROR * count:
            break
    return value_of(prefix << BITS * (LEVELS - level)), below, count


def count_block(
    table: Values, weights: Weights, first_row: int, question: tuple[int, int]
) -> NDArray[np.int64]:
    """How many values of a block have each of the next 16 bits, among those with this prefix."""
    del weights, first_row
    prefix, level = question
    keys = keys_of(np.asarray(table[:, 0], dtype=np.float64))
    shift = np.uint64(BITS * (LEVELS - 1 - level))
    if level:
        keys = keys[keys >> (shift + np.uint64(BITS)) == np.uint64(prefix)]
    digits = (keys >> shift) & np.uint64(2**BITS - 1)
    return np.bincount(digits.astype(np.intp), minlength=2**BITS)


def keys_of(values: Array) -> Keys:
    """Integers in the order of the values that are numbers."""
    values = values[~np.isnan(values)] + 0.0  # there is one zero only
    bits = values.view(np.uint64)
    return np.where(bits & SIGN, ~bits, bits | SIGN)


def value_of(key: int) -> float:
    """The number whose key this is."""
    known = np.uint64(key)
    bits = known ^ SIGN if known & SIGN else ~known
    return float(bits.view(np.float64))


def _holder_of(rank: int, counts: NDArray[np.int64]) -> tuple[int, int]:
    """Which count holds the value of this rank, and how many values lie before it."""
    ends = np.cumsum(counts)
    chosen = min(int(np.searchsorted(ends, rank, side="right")), len(counts) - 1)
    return chosen, int(ends[chosen] - counts[chosen])
