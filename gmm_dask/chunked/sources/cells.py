"""The cells of a grid as rows: chunk after chunk, and in each of them in the order of its axes.

A row for every cell, in an order in which no chunk has to be read before its turn: an array that
is flattened in the order of its axes would be, as soon as chunks do not span all axes but one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import accumulate, pairwise, product
from math import prod
from typing import Any

import numpy as np
from dask.base import tokenize
from numpy.typing import NDArray

from gmm_dask.chunked.borrowed.dask import graphed

Lengths = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Cells:
    """The dimensions that cells lie along, how each is cut, and what they are labelled with."""

    dims: tuple[str, ...]
    chunks: tuple[Lengths, ...]
    coordinates: Callable[[], Any] | None = None
    opening: Mapping[str, Any] = field(default_factory=dict)
    """What `open_rows` is told to find the same features elsewhere; empty of a plain table."""

    @cached_property
    def coords(self) -> Any:
        """xarray's coordinates of the cells, looked up when they are asked for."""
        return None if self.coordinates is None else self.coordinates()

    @property
    def gridded(self) -> bool:
        """False where they are the rows of a plain table."""
        return bool(self.opening)

    @property
    def shape(self) -> Lengths:
        """Cells along each dimension."""
        return tuple(map(sum, self.chunks))

    @cached_property
    def blocks(self) -> list[Lengths]:
        """The shape of each chunk, in order."""
        return list(product(*self.chunks))

    @cached_property
    def lengths(self) -> Lengths:
        """The cells of each chunk."""
        return tuple(map(prod, self.blocks))

    @cached_property
    def cuts(self) -> Lengths:
        """The rows at which chunks begin, and the end."""
        return (0, *accumulate(self.lengths))

    def number(self, row: int) -> int:
        """The chunk that a row is in."""
        return bisect_right(self.cuts, row) - 1

    def places_of(self, first: int, last: int) -> list[Lengths]:
        """The positions of the chunks that hold rows [first, last)."""
        return self.places[self.number(first) : self.number(last - 1) + 1]

    @cached_property
    def places(self) -> list[Lengths]:
        """The position of each chunk in the grid of chunks."""
        return list(product(*(range(len(one)) for one in self.chunks)))

    @property
    def irregular(self) -> str | None:
        """The first dimension whose chunks are not of one length, the last perhaps shorter."""
        uneven = (dim for dim, one in zip(self.dims, self.chunks, strict=True) if _uneven(one))
        return next(uneven, None)

    def cut(self, rows: int) -> Cells:
        """The same in one order, cut along the first dimension to chunks of about so many rows."""
        step = max(1, rows // max(1, prod(self.shape[1:])))
        whole, rest = divmod(self.shape[0], step)
        first = (*(step for _ in range(whole)), *([rest] if rest else []))
        return replace(self, chunks=(first, *self.chunks[1:]))

    def fingerprint(self) -> dict[str, object]:
        """What the order of rows follows from, in JSON's types.

        A grid that grows along its first dimension keeps the order of the rows that there were if
        its last chunk was full: only then do fingerprints differ in shape alone.
        """
        sides = [list(one) if _uneven(one) else one[0] for one in self.chunks]
        full = self.chunks[0][-1] == self.chunks[0][0]
        return {
            "dims": list(self.dims),
            "shape": list(self.shape),
            "chunks": sides,
            "partial": None if full else self.shape[0],
        }

    def __getstate__(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def rows_of(self, arrays: Sequence[Any]) -> Any:
        """Dask arrays, chunked as the cells are and whole along features, as one table (N, D)."""
        name = f"cells-{tokenize(arrays, self.chunks)}"
        tasks = {
            (name, i, 0): (
                _as_rows,
                len(self.dims),
                [(a.name, *place, *_ends(a, place)) for a in arrays],
            )
            for i, place in enumerate(self.places)
        }
        width = sum(prod(a.shape[len(self.dims) :]) for a in arrays)
        like = np.empty((0, 0), np.result_type(*(a.dtype for a in arrays)))
        return graphed(name, tasks, arrays, (self.lengths, (width,)), like)

    def restored(self, values: Any) -> Any:
        """What is said of each row, (N, …), on the grid again: lazy where it is."""
        if isinstance(values, np.ndarray):
            return self._placed(values)
        values = values.rechunk({0: self.lengths})
        name, across = f"restored-{tokenize(values, self.chunks)}", values.chunks[1:]
        tasks = {
            (name, *place, *(0 for _ in across)): (
                np.reshape,
                (values.name, i, *(0 for _ in across)),
                (*block, *map(sum, across)),
            )
            for i, (place, block) in enumerate(zip(self.places, self.blocks, strict=True))
        }
        like = np.empty((0,) * (len(self.dims) + len(across)), values.dtype)
        return graphed(name, tasks, [values], (*self.chunks, *across), like)

    def _placed(self, values: NDArray[Any]) -> NDArray[Any]:
        grid = np.empty((*self.shape, *values.shape[1:]), values.dtype)
        spans = pairwise(self.cuts)
        for slices, block, (first, last) in zip(self.slices, self.blocks, spans, strict=True):
            grid[slices] = values[first:last].reshape(*block, *values.shape[1:])
        return grid

    @cached_property
    def slices(self) -> list[tuple[slice, ...]]:
        """The place of each chunk in the grid."""
        starts = [np.cumsum([0, *one]) for one in self.chunks]
        return [
            tuple(
                slice(int(starts[axis][i]), int(starts[axis][i + 1]))
                for axis, i in enumerate(place)
            )
            for place in self.places
        ]


def _as_rows(axes: int, blocks: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One chunk of every variable, (…, features), as rows."""
    cells = prod(blocks[0].shape[:axes])
    tables = [block.reshape(cells, prod(block.shape[axes:])) for block in blocks]
    return tables[0] if len(tables) == 1 else np.concatenate(tables, axis=1)


def _uneven(lengths: Lengths) -> bool:
    return set(lengths[:-1]) > {lengths[0]} or lengths[-1] > lengths[0]


def _ends(array: Any, place: Lengths) -> Lengths:
    return (0,) * (array.ndim - len(place))
