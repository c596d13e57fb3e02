"""Zarr arrays, v2 and v3, sharded or not, on any store: opened once, read by every worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import zarr

from gmm_dask.chunked.sources.absent_chunks import absent_chunk
from gmm_dask.chunked.sources.bounded_store import within_bounds
from gmm_dask.chunked.sources.cf_packing import Packing
from gmm_dask.chunked.sources.chunk_grid import (
    Axis,
    axes_of,
    chunk_layout,
)
from gmm_dask.chunked.sources.protocol import (
    LARGEST_CHUNK,
    MOST_CHUNKS,
    AbsentError,
    Boundaries,
    DataError,
    Source,
    Values,
    default_names,
    real_dtype,
    table_shape,
    unreached,
)
from gmm_dask.chunked.sources.stored_columns import StoredColumns


@dataclass(frozen=True, eq=False)
class ZarrSource:
    """A 1-D or 2-D Zarr array; pickles as its metadata and the address of its store."""

    array: Any
    address: str
    names: tuple[str, ...]
    columns: tuple[int, ...]
    packing: Packing | None = None

    lazy = False

    @cached_property
    def shape(self) -> tuple[int, int]:
        return int(self.array.shape[0]), len(self.columns)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        stored = real_dtype(self.array.dtype, self.address)
        return stored if self.packing is None else self.packing.dtype

    @cached_property
    def _stored(self) -> StoredColumns:
        return StoredColumns(self.array, self.columns)

    def layouts(self) -> list[Boundaries]:
        return [self._stored.axes[0].boundaries()]

    def read(self, first: int, last: int) -> Values:
        try:
            return self.unpacked(self._stored.read(first, last))
        except OSError as problem:
            if isinstance(problem, FileNotFoundError):
                raise self._unreadable(first, last, problem) from problem
            raise  # the network or the machine, not the data
        except MemoryError as problem:
            raise self._too_large(first, last) from problem
        except Exception as problem:
            error = unreached(self.address, problem) or self._unreadable(first, last, problem)
            raise error from problem

    def unpacked(self, stored: Values) -> Values:
        """Stored numbers as what they stand for."""
        return stored if self.packing is None else self.packing.decode(stored)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _too_large(self, first: int, last: int) -> DataError:
        keys = " or ".join(self._stored.keys(first))
        return DataError(
            f"{self.address}: rows {first}–{last}, chunk {keys} of {_by(self._stored.axes)} "
            f"{self.array.dtype}, take more memory than there is here: store it in smaller chunks, "
            "or give workers more"
        )

    def _unreadable(self, first: int, last: int, problem: Exception) -> DataError:
        """Name the first stored object behind these rows that fails when read alone."""
        starts = self._stored.axes[0].within(first, last)
        for start, end in pairwise([*starts, last]):
            try:
                self._stored.read(start, end)
            except Exception as fault:
                keys = " or ".join(self._stored.keys(start))
                return DataError(
                    f"{self.address}: chunk {keys} is truncated or corrupt "
                    f"({type(fault).__name__}: {fault}); write it again"
                )
        return DataError(f"{self.address}: rows {first}–{last} cannot be read ({problem})")

    def verify(self, first: int, last: int) -> None:
        try:
            key = absent_chunk(self.array, self._stored.coordinates(first, last))
        except Exception as problem:
            error = unreached(self.address, problem)
            if error is None:
                raise
            raise error from problem
        if key is not None:
            raise AbsentError(
                f"{self.address}: chunk {key} is not in the store, so its rows would read as the "
                f"fill value {self.array.fill_value!r}; restore it, or pass "
                'missing_chunks="fill" if it was left out because it holds nothing else'
            )

    def chunk_of(self, row: int, feature: int) -> str:
        return StoredColumns(self.array, (self.columns[feature],)).keys(row)[0]

    def may_be_fill(self, first: int, table: Values) -> bool:
        """An absent chunk reads as its fill value, in its first row as in all others."""
        axes = self._stored.axes
        starts = np.array(axes[0].within(first, first + len(table))) - first
        stored = self.array.fill_value or 0  # v2 has arrays without one, which read as zeros
        fill = self.unpacked(np.array([stored], self.array.dtype))[0]
        filled = np.isnan(table[starts]) if np.isnan(fill) else table[starts] == fill
        if self.array.ndim == 1 or not filled.any():
            return bool(filled.any())
        across = np.array([axes[1].at(column) for column in self.columns])
        return any(filled[:, across == one].all(axis=1).any() for one in np.unique(across))

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
            "kind": "zarr",
            "address": self.address,
            "format": int(self.array.metadata.zarr_format),
            "shape": [int(n) for n in self.array.shape],
            "dtype": np.dtype(self.array.dtype).str,
            **chunk_layout(self.array),
            "columns": list(self.columns),
            **({} if self.packing is None else {"packing": self.packing.fingerprint()}),
        }


def as_stored(source: Source) -> Source:
    """The same without its packing: labels are codes, not measurements."""
    return replace(source, packing=None) if isinstance(source, ZarrSource) else source


def open_array(array: zarr.Array[Any], address: str, name: str | None = None) -> ZarrSource:
    """A source over an opened array; `name` is what a 1-D array is called as a feature."""
    real_dtype(array.dtype, address)
    features = table_shape(array.shape, address)[1]
    check_chunks(array, address)
    array = within_bounds(array)
    names, packing = _names(array, features, name), Packing.of(array, address)
    return ZarrSource(array, address, names, tuple(range(features)), packing)


def check_chunks(array: zarr.Array[Any], address: str) -> None:
    """Refuse a grid that is out of all bounds before anything of its size is made."""
    axes = axes_of(array)
    if min(axis.step for axis in axes) < 1:
        raise DataError(f"{address} declares chunks of {_by(axes)}, which hold nothing")
    if prod(axis.step for axis in axes) * array.dtype.itemsize > LARGEST_CHUNK:
        raise DataError(
            f"{address} declares chunks of {_by(axes)} {array.dtype}, beyond "
            f"{LARGEST_CHUNK // 2**30} GiB each: store it in smaller chunks"
        )
    if (count := -(-array.shape[0] // axes[0].step)) > MOST_CHUNKS:
        raise DataError(
            f"{address} declares {count} chunks of {axes[0].step} rows, beyond {MOST_CHUNKS}: "
            "store it in larger chunks"
        )


def _by(axes: Sequence[Axis]) -> str:
    return " × ".join(str(axis.step) for axis in axes)


def _names(array: zarr.Array[Any], features: int, name: str | None) -> tuple[str, ...]:
    if array.ndim == 1 and name:
        return (name,)
    attributes = array.metadata.attributes  # whatever JSON there was
    names = attributes.get("feature_names") if isinstance(attributes, Mapping) else None
    if isinstance(names, list) and len(names) == features:
        return tuple(str(one) for one in names)
    return default_names(features)
