"""Columns of a Zarr array, by the chunks or shards that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gmm_dask.chunked.sources.absent_chunks import chunk_key
from gmm_dask.chunked.sources.chunk_grid import Axis, axes_of
from gmm_dask.chunked.sources.direct_chunks import DirectChunks
from gmm_dask.chunked.sources.protocol import Values, native


@dataclass(frozen=True, eq=False)
class StoredColumns:
    """Some of an array's columns, in the numbers that are stored."""

    array: Any
    columns: tuple[int, ...]

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """How each axis is cut."""
        return axes_of(self.array)

    @cached_property
    def _direct(self) -> DirectChunks | None:
        return DirectChunks.of(self.array)

    def read(self, first: int, last: int) -> Values:
        """Rows [first, last) as they are stored, whichever way costs least."""
        if self.array.ndim == 1:
            return native(self._range((first, last)))
        low, high = min(self.columns), max(self.columns) + 1
        if self.columns == tuple(range(low, high)):
            return native(self._range((first, last), (low, high)))
        if self.axes[1].step < self.array.shape[1]:
            return native(self.array.oindex[slice(first, last), list(self.columns)])
        return native(self.array[first:last][:, list(self.columns)])

    def _range(self, *ranges: tuple[int, int]) -> Values:
        values = None if self._direct is None else self._direct.read(*ranges)
        if values is None:
            values = self.array[tuple(slice(first, last) for first, last in ranges)]
        return values

    def keys(self, row: int) -> list[str]:
        """Those of the stored objects that this row is in."""
        return [chunk_key(self.array, c) for c in self.coordinates(row, row + 1)]

    def coordinates(self, first: int, last: int) -> list[tuple[int, ...]]:
        """Grid coordinates of the stored objects behind rows [first, last) and these features."""
        down = range(self.axes[0].at(first), self.axes[0].at(last - 1) + 1)
        if len(self.axes) == 1:
            return [(i,) for i in down]
        across = sorted({self.axes[1].at(column) for column in self.columns})
        return [(i, j) for i in down for j in across]
