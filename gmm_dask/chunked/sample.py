"""A uniform sample of rows that depends on seed and row index alone.

Each row has a key, a hash of (seed, global row index); the sample is the rows with the smallest
keys. So it is the same whatever the chunks, the shares and the number of workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.rows import Table, Weights

Keys = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class RowSample:
    """At most `size` rows in the order of their keys: any first part is a uniform sample too."""

    size: int
    keys: Keys
    indices: NDArray[np.int64]
    rows: NDArray[Any]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.keys)

    def __add__(self, other: RowSample) -> RowSample:
        return RowSample(
            self.size,
            np.concatenate([self.keys, other.keys]),
            np.concatenate([self.indices, other.indices]),
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.weights, other.weights]),
        ).smallest()

    def smallest(self) -> RowSample:
        chosen = np.argsort(self.keys, kind="stable")[: self.size]
        return RowSample(
            self.size,
            self.keys[chosen],
            self.indices[chosen],
            self.rows[chosen],
            self.weights[chosen],
        )


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


def sample_of(
    table: Table, weights: Weights, first_row: int, usable: NDArray[np.bool_], seed: int, size: int
) -> RowSample:
    """The smallest keys among the usable rows of a block; rows of weight zero are not."""
    if weights is not None:
        usable = usable & (weights > 0)
    local = np.flatnonzero(usable)
    keys = row_keys(seed, first_row + local)
    if len(keys) > size:
        nearest = np.argpartition(keys, size)[:size] if size else np.empty(0, dtype=np.int64)
        local, keys = local[nearest], keys[nearest]
    held = np.ones(len(local)) if weights is None else weights[local]
    return RowSample(size, keys, first_row + local, table[local], held).smallest()
