"""Stored chunks read and decoded in the thread that asks for them.

Zarr reads through an event loop and threads of its own: several hops for each chunk between threads
that all want the interpreter, which beside one that computes took as long again as decoding. What
is done here is the same, by the same codecs, where neither they nor the store have to be awaited
(files in Zarr's format 3 without shards, in chunks of one shape); everything else is left to Zarr.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.borrowed.zarr import Decode, Get, at_once
from gmm_dask.chunked.sources.absent_chunks import chunk_key
from gmm_dask.chunked.sources.chunk_grid import (
    is_regular,
    most_stored,
    sharding_of,
)

Place: TypeAlias = tuple[int, ...]
Slices: TypeAlias = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class DirectChunks:
    """The chunks of an array whose store and codecs answer at once."""

    array: Any
    grid: Place
    get: Get
    decode: Decode

    @classmethod
    def of(cls, array: Any) -> DirectChunks | None:
        """None where Zarr has to do it."""
        if array.metadata.zarr_format != 3 or not is_regular(array) or sharding_of(array):
            return None
        functions = at_once(array, most_stored(array))
        return None if functions is None else cls(array, tuple(array.chunks), *functions)

    def read(self, *ranges: tuple[int, int]) -> NDArray[Any] | None:
        """The values within [first, last) along each axis; None where a chunk of them is absent."""
        places = list(
            product(
                *(
                    range(first // size, (last - 1) // size + 1)
                    for (first, last), size in zip(ranges, self.grid, strict=True)
                )
            )
        )
        values: NDArray[Any] | None = None
        for place in places:
            chunk = self._chunk(place)
            if chunk is None:
                return None
            inside, target = self._overlap(place, ranges)
            if len(places) == 1:
                return np.ascontiguousarray(chunk[inside])
            if values is None:
                values = np.empty([last - first for first, last in ranges], chunk.dtype)
            values[target] = chunk[inside]
        return values

    def _chunk(self, place: Place) -> NDArray[Any] | None:
        content = self.get(chunk_key(self.array, place))
        return None if content is None else self.decode(content)

    def _overlap(self, place: Place, ranges: tuple[tuple[int, int], ...]) -> tuple[Slices, Slices]:
        """The part of a chunk that is asked for, in the chunk and in the answer."""
        inside, target = [], []
        for at, size, (first, last) in zip(place, self.grid, ranges, strict=True):
            low, high = max(first, at * size), min(last, (at + 1) * size)
            inside.append(slice(low - at * size, high - at * size))
            target.append(slice(low - first, high - first))
        return tuple(inside), tuple(target)
