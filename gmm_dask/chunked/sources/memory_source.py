"""Rows in this process's memory, or in a plain file that every worker maps by path."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.sources.protocol import (
    Boundaries,
    DataError,
    Source,
    Values,
    native,
    real_dtype,
    table_shape,
)


@dataclass(frozen=True, eq=False)
class MemorySource:
    """An array held here. Tasks are given the rows that they need, never the whole array."""

    values: NDArray[Any]
    names: tuple[str, ...]
    address: str = "the array"
    origin: int = 0

    lazy = False

    @cached_property
    def shape(self) -> tuple[int, int]:
        return table_shape(self.values.shape, self.address)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        return real_dtype(self.values.dtype, self.address)

    def layouts(self) -> list[Boundaries]:
        return []

    def read(self, first: int, last: int) -> Values:
        return native(self.values[first - self.origin : last - self.origin])

    def verify(self, first: int, last: int) -> None:
        del first, last  # what is in memory cannot be missing

    def chunk_of(self, row: int, feature: int) -> str:
        del row, feature
        return ""

    def may_be_fill(self, first: int, table: Values) -> bool:
        del first, table
        return False

    def select(self, columns: Sequence[int]) -> Source:
        table = self.values.reshape(self.shape)
        names = tuple(self.names[j] for j in columns)
        return replace(self, values=table[:, list(columns)], names=names)

    def restrict(self, first: int, last: int) -> Source:
        part = self.values[first - self.origin : last - self.origin]
        return replace(self, values=part, origin=first)

    def fingerprint(self) -> dict[str, object]:
        digest = hashlib.sha256(np.ascontiguousarray(self.values).data).hexdigest()
        return {
            "kind": "memory",
            "shape": list(self.shape),
            "dtype": self.dtype.str,
            "sha256": digest,
        }


@dataclass(frozen=True)
class FileSource:
    """A window of a plain binary file, described by numbers alone so that it pickles small."""

    path: str
    offset: int
    stored: str
    window: tuple[int, ...]
    strides: tuple[int, ...]
    names: tuple[str, ...]
    columns: tuple[int, ...]

    lazy = False

    @property
    def address(self) -> str:
        return self.path

    @cached_property
    def shape(self) -> tuple[int, int]:
        return self.window[0], len(self.columns)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        return real_dtype(np.dtype(self.stored), self.path)

    def layouts(self) -> list[Boundaries]:
        return []

    def read(self, first: int, last: int) -> Values:
        table = self._map()[first:last]
        if self.columns != tuple(range(table.shape[1])):
            table = table[:, list(self.columns)]
        # A copy: what a pass holds must not change, or fault, with the file behind it.
        return native(np.array(table, order="C"))

    def _map(self) -> Values:
        try:
            buffer = _mapped(self.path, Path(self.path).stat().st_mtime_ns)
            array = np.ndarray(
                self.window, np.dtype(self.stored), buffer, self.offset, self.strides
            )
        except (OSError, TypeError, ValueError) as problem:
            raise DataError(
                f"{self.path} cannot be mapped: {problem}; "
                "every worker needs the same file under the same path"
            ) from problem
        return array.reshape(-1, 1) if array.ndim == 1 else array

    def verify(self, first: int, last: int) -> None:
        del first, last
        self._map()

    def chunk_of(self, row: int, feature: int) -> str:
        across = self.strides[1] * self.columns[feature] if len(self.strides) == 2 else 0
        return f"{self.path} at byte {self.offset + row * self.strides[0] + across}"

    def may_be_fill(self, first: int, table: Values) -> bool:
        del first, table
        return False

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
            "kind": "file",
            "address": self.path,
            "offset": self.offset,
            "shape": list(self.window),
            "strides": list(self.strides),
            "dtype": self.stored,
            "columns": list(self.columns),
        }


@lru_cache(maxsize=8)
def _mapped(path: str, modified: int) -> np.memmap[Any, np.dtype[np.uint8]]:
    del modified  # part of the cache's key: a rewritten file is mapped anew
    return np.memmap(path, dtype=np.uint8, mode="r")


def open_memory(values: NDArray[Any], names: tuple[str, ...], address: str) -> Source:
    """An array as a source; a memmap becomes the path of its file."""
    if isinstance(values, np.ma.MaskedArray):
        raise DataError(f"{address} is a masked array: fill its masked values (with NaN) first")
    real_dtype(values.dtype, address)
    table_shape(values.shape, address)
    if isinstance(values, np.memmap):
        mapped = _file_behind(values, names)
        if mapped is not None:
            return mapped
    return MemorySource(np.asarray(values), names, address)


def _file_behind(values: np.memmap[Any, Any], names: tuple[str, ...]) -> FileSource | None:
    """Which bytes of which file a memmap or a view of one shows; None when no file is known."""
    root = values
    while isinstance(root.base, np.memmap):
        root = root.base
    if root.filename is None or root.mode == "c" or min(values.strides) < 0:
        return None
    if root.mode in ("r+", "w+"):
        root.flush()
    start = values.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return FileSource(
        path=str(Path(root.filename).resolve()),
        offset=int(root.offset) + int(start),
        stored=values.dtype.str,
        window=tuple(map(int, values.shape)),
        strides=tuple(map(int, values.strides)),
        names=names,
        columns=tuple(range(table_shape(values.shape, str(root.filename))[1])),
    )
