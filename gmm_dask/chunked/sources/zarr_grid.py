"""Zarr arrays on one grid, with names for their dimensions: a worker reads the chunks of its rows.

Names are those of format 3, or xarray's attribute in format 2; what is packed is decoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np
import zarr

from gmm_dask.chunked.sources.absent_chunks import absent_chunk, chunk_key
from gmm_dask.chunked.sources.bounded_store import within_bounds
from gmm_dask.chunked.sources.cells import Cells
from gmm_dask.chunked.sources.cf_packing import Packing
from gmm_dask.chunked.sources.chunk_grid import Axis, axes_of, chunk_layout
from gmm_dask.chunked.sources.direct_chunks import DirectChunks
from gmm_dask.chunked.sources.grid import Dims
from gmm_dask.chunked.sources.protocol import (
    AbsentError,
    Boundaries,
    DataError,
    Source,
    Values,
    real_dtype,
    table_shape,
    unreached,
)
from gmm_dask.chunked.sources.zarr_source import check_chunks

Spans = Mapping[str, slice]


@dataclass(frozen=True, eq=False)
class GridArray:
    """One array of the grid: features of cells, in the order of its own other dimensions."""

    array: Any
    dims: Dims
    address: str
    packing: Packing | None

    @classmethod
    def of(cls, array: zarr.Array[Any], dims: Dims, address: str) -> GridArray:
        """Refuses what holds no numbers."""
        real_dtype(array.dtype, address)
        check_chunks(array, address)
        return cls(within_bounds(array), dims, address, Packing.of(array, address))

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """How each dimension is cut."""
        return axes_of(self.array)

    @property
    def dtype(self) -> np.dtype[Any]:
        return (
            real_dtype(self.array.dtype, self.address)
            if self.packing is None
            else self.packing.dtype
        )

    def width(self, sample: Dims) -> int:
        """How many features it has."""
        return prod(
            n for dim, n in zip(self.dims, self.array.shape, strict=True) if dim not in sample
        )

    def feature(self, number: int, sample: Dims) -> Spans:
        """Where one of its features lies along the dimensions that are not cells'."""
        sizes = {d: n for d, n in zip(self.dims, self.array.shape, strict=True) if d not in sample}
        place = map(int, np.unravel_index(number, tuple(sizes.values()) or (1,)))
        return {dim: slice(i, i + 1) for dim, i in zip(sizes, place, strict=False)}

    def read(self, spans: Spans) -> Values:
        """The cells of a box as rows (n, features), repeated along dimensions that it lacks."""
        values = self._stored(spans)
        values = values if self.packing is None else self.packing.decode(values)
        own = [dim for dim in spans if dim in self.dims]
        others = [dim for dim in self.dims if dim not in spans]
        upright = values.transpose([self.dims.index(dim) for dim in (*own, *others)])
        missing = tuple(i for i, dim in enumerate(spans) if dim not in self.dims)
        upright = np.expand_dims(upright, missing)
        lengths = tuple(one.stop - one.start for one in spans.values())
        whole = np.broadcast_to(upright, (*lengths, *upright.shape[len(lengths) :]))
        return whole.reshape(prod(lengths), -1)

    def _stored(self, spans: Spans) -> Values:
        box = [
            spans.get(dim, slice(0, axis.length))
            for dim, axis in zip(self.dims, self.axes, strict=True)
        ]
        ranges = [(one.start, one.stop) for one in box]
        values = None if self._direct is None else self._direct.read(*ranges)
        return self.array[tuple(box)] if values is None else values

    @cached_property
    def _direct(self) -> DirectChunks | None:
        return DirectChunks.of(self.array)

    def coordinates(self, spans: Spans) -> list[tuple[int, ...]]:
        """Grid coordinates of the stored objects behind a box."""
        ranges = []
        for dim, axis in zip(self.dims, self.axes, strict=True):
            one = spans.get(dim, slice(0, axis.length))
            ranges.append(range(axis.at(one.start), axis.at(one.stop - 1) + 1))
        return list(product(*ranges))

    @cached_property
    def fill(self) -> Any:
        """What an absent chunk would read as."""
        stored = np.array([self.array.fill_value or 0], self.array.dtype)
        return stored[0] if self.packing is None else self.packing.decode(stored)[0]

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def fingerprint(self) -> dict[str, object]:
        """What identifies it, in JSON's types."""
        return {
            "address": self.address,
            "format": int(self.array.metadata.zarr_format),
            "shape": [int(n) for n in self.array.shape],
            "dims": list(self.dims),
            "dtype": np.dtype(self.array.dtype).str,
            **chunk_layout(self.array),
            **({} if self.packing is None else {"packing": self.packing.fingerprint()}),
        }


@dataclass(frozen=True, eq=False)
class GridSource:
    """Arrays side by side as the features of cells, which are read chunk by chunk of their grid."""

    parts: tuple[GridArray, ...]
    cells: Cells
    names: tuple[str, ...]
    columns: tuple[int, ...]
    address: str

    lazy = False

    @property
    def shape(self) -> tuple[int, int]:
        return table_shape((self.cells.cuts[-1], len(self.columns)), self.address)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        return np.result_type(*(part.dtype for part in self.parts))

    def layouts(self) -> list[Boundaries]:
        return [np.unique(np.asarray(self.cells.cuts, np.int64))]

    def read(self, first: int, last: int) -> Values:
        numbers = self._numbers(first, last)
        start = self.cells.cuts[numbers[0]]
        blocks = [self._block(number) for number in numbers]
        table = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        return np.ascontiguousarray(table[first - start : last - start])

    def _numbers(self, first: int, last: int) -> range:
        return range(self.cells.number(first), self.cells.number(last - 1) + 1)

    def _spans(self, number: int) -> Spans:
        return dict(zip(self.cells.dims, self.cells.slices[number], strict=True))

    def _block(self, number: int) -> Values:
        spans = self._spans(number)
        tables = [self._read(part, spans) for part in self.parts]
        table = tables[0] if len(tables) == 1 else np.concatenate(tables, axis=1)
        whole = self.columns == tuple(range(table.shape[1]))
        return table if whole else table[:, list(self.columns)]

    def _read(self, part: GridArray, spans: Spans) -> Values:
        try:
            return part.read(spans).astype(self.dtype, copy=False)
        except Exception as problem:
            if isinstance(problem, OSError) and not isinstance(problem, FileNotFoundError):
                raise  # the network or the machine, not the data
            raise unreached(part.address, problem) or _unreadable(part, spans, problem) from problem

    def verify(self, first: int, last: int) -> None:
        for number, part in product(self._numbers(first, last), self.parts):
            try:
                key = absent_chunk(part.array, part.coordinates(self._spans(number)))
            except Exception as problem:
                error = unreached(part.address, problem)
                raise error or problem from problem
            if key is not None:
                raise AbsentError(
                    f"{part.address}: chunk {key} is not in the store, so its cells would read as "
                    f'{part.fill}; restore it, or pass missing_chunks="fill" if it was left out '
                    "because it holds nothing else"
                )

    def chunk_of(self, row: int, feature: int) -> str:
        part, within = self._feature(self.columns[feature])
        spans = {**self._spans(self.cells.number(row)), **part.feature(within, self.cells.dims)}
        return chunk_key(part.array, part.coordinates(spans)[0])

    def _feature(self, column: int) -> tuple[GridArray, int]:
        for part in self.parts:
            if column < (width := part.width(self.cells.dims)):
                return part, column
            column -= width
        raise IndexError(column)

    def may_be_fill(self, first: int, table: Values) -> bool:
        starts = [
            max(self.cells.cuts[n] - first, 0) for n in self._numbers(first, first + len(table))
        ]
        fills = np.array([self._feature(column)[0].fill for column in self.columns], np.float64)
        rows = table[starts].astype(np.float64)
        return bool(((rows == fills) | (np.isnan(rows) & np.isnan(fills))).any())

    def select(self, columns: Sequence[int]) -> Source:
        return replace(
            self,
            columns=tuple(self.columns[j] for j in columns),
            names=tuple(self.names[j] for j in columns),
        )

    def restrict(self, first: int, last: int) -> Source:
        del first, last
        return self

    def fingerprint(self) -> dict[str, object]:
        return {
            "kind": "zarr grid",
            "parts": [part.fingerprint() for part in self.parts],
            "columns": list(self.columns),
        }


def _unreadable(part: GridArray, spans: Spans, problem: Exception) -> DataError:
    keys = [chunk_key(part.array, one) for one in part.coordinates(spans)]
    more = f" or one of {len(keys) - 1} beside it" if len(keys) > 1 else ""
    return DataError(
        f"{part.address}: chunk {keys[0]}{more} is truncated or corrupt "
        f"({type(problem).__name__}: {problem}); write it again"
    )
