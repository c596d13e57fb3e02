"""A sample of rows that depends on seed, row index and weight alone.

Each row has a key, a hash of (seed, global row index), taken as a number u between 0 and 1; the
sample is the rows with the smallest u / w: priority sampling (Duffield, Lund & Thorup 2007). Where
rows have one weight it is uniform; a row that weighs as much as thousands of others is there. It is
the same whatever the chunks, the shares and the number of workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.nonfinite import LARGEST_VALUE
from gmm_dask.chunked.rows import Values, Weights

Keys = NDArray[np.uint64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RowSample:
    """At most `size` rows in the order of their ranks u / w: any first part is a sample too.

    `beyond` is the lowest rank that was left out.
    """

    size: int
    keys: Keys
    indices: NDArray[np.int64]
    rows: NDArray[Any]
    weights: Vector
    beyond: float = inf

    def __len__(self) -> int:
        return len(self.keys)

    def __add__(self, other: RowSample) -> RowSample:
        return RowSample(
            self.size,
            np.concatenate([self.keys, other.keys]),
            np.concatenate([self.indices, other.indices]),
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.weights, other.weights]),
            min(self.beyond, other.beyond),
        ).lowest()

    def lowest(self) -> RowSample:
        """The `size` rows of the lowest ranks, in their order; equal ranks go by their keys."""
        ranks = ranks_of(self.keys, self.weights)
        order = np.lexsort((self.keys, ranks))
        chosen, left = order[: self.size], order[self.size :]
        return RowSample(
            self.size,
            self.keys[chosen],
            self.indices[chosen],
            self.rows[chosen],
            self.weights[chosen],
            min(self.beyond, float(ranks[left[0]])) if len(left) else self.beyond,
        )

    def first(self, size: int) -> RowSample:
        """The sample that would have been drawn of so many rows."""
        return RowSample(
            size, self.keys, self.indices, self.rows, self.weights, self.beyond
        ).lowest()

    @property
    def represented(self) -> Vector:
        """The weights (n,) with which these rows stand for all, without bias in any sum: the
        larger of w and 1 / `beyond`, as multiples of the latter where a row was left out."""
        if not isfinite(self.beyond):
            return self.weights
        return np.maximum(self.weights * min(self.beyond, LARGEST_VALUE), 1.0)


def row_keys(seed: int, indices: NDArray[np.int64]) -> Keys:
    """SplitMix64 (Steele, Lea & Flood 2014) at position `index` of the stream of `seed`.

    One-to-one in the index: no two rows share a key.
    """
    start = _mix(np.array([seed % 2**64], dtype=np.uint64))
    golden = np.uint64(0x9E3779B97F4A7C15)
    return _mix(start + indices.astype(np.uint64) * golden)


def _mix(z: Keys) -> Keys:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def ranks_of(keys: Keys, weights: Weights) -> Vector:
    """u / w, with u the middle of the key's share of (0, 1)."""
    uniform = (keys.astype(np.float64) + 0.5) * 2.0**-64
    if weights is None:
        return uniform
    with np.errstate(over="ignore"):  # weights of nothing beside others of something
        return uniform / weights


def sample_of(
    table: Values, weights: Weights, first_row: int, usable: NDArray[np.bool_], seed: int, size: int
) -> RowSample:
    """The lowest ranks among the usable rows of a block; rows of weight zero are not."""
    if weights is not None:
        usable = usable & (weights > 0)
    local = np.flatnonzero(usable)
    keys = row_keys(seed, first_row + local)
    if len(keys) > size:
        ranks = ranks_of(keys, None if weights is None else weights[local])
        near = ranks <= np.partition(ranks, size)[size]  # one more than asked for: what is beyond
        local, keys = local[near], keys[near]
    held = np.ones(len(local)) if weights is None else weights[local]
    return RowSample(size, keys, first_row + local, table[local], held).lowest()
