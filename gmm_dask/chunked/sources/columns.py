"""Several sources of equal length, side by side as the features of one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gmm_dask.chunked.sources.protocol import Boundaries, DataError, Source, Values


@dataclass(frozen=True, eq=False)
class ColumnsSource:
    """One feature per source; the dtype is the smallest that holds all of them."""

    parts: tuple[Source, ...]
    address: str

    lazy = False

    @cached_property
    def shape(self) -> tuple[int, int]:
        return self.parts[0].shape[0], len(self.parts)

    @cached_property
    def dtype(self) -> np.dtype[np.generic]:
        return np.result_type(*(part.dtype for part in self.parts))

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(name for part in self.parts for name in part.names)

    def layouts(self) -> list[Boundaries]:
        return [layout for part in self.parts for layout in part.layouts()]

    def read(self, first: int, last: int) -> Values:
        table = np.empty((last - first, len(self.parts)), self.dtype)
        for j, part in enumerate(self.parts):
            table[:, j] = part.read(first, last)[:, 0]
        return table

    def verify(self, first: int, last: int) -> None:
        for part in self.parts:
            part.verify(first, last)

    def chunk_of(self, row: int, feature: int) -> str:
        return self.parts[feature].chunk_of(row, 0)

    def may_be_fill(self, first: int, table: Values) -> bool:
        return any(p.may_be_fill(first, table[:, j : j + 1]) for j, p in enumerate(self.parts))

    def select(self, columns: Sequence[int]) -> Source:
        return ColumnsSource(tuple(self.parts[j] for j in columns), self.address)

    def restrict(self, first: int, last: int) -> Source:
        return ColumnsSource(tuple(p.restrict(first, last) for p in self.parts), self.address)

    def fingerprint(self) -> dict[str, object]:
        return {"kind": "columns", "parts": [part.fingerprint() for part in self.parts]}


def join_columns(parts: Sequence[Source], address: str) -> Source:
    """One table of single features; refuses unequal lengths and tables among them."""
    if not parts:
        raise DataError(f"{address}: no columns were named; name at least one 1-D array")
    for part in parts:
        if part.shape[1] != 1:
            raise DataError(f"{part.address} has {part.shape[1]} columns; name 1-D arrays only")
    lengths = {part.names[0]: part.shape[0] for part in parts}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise DataError(f"columns of {address} differ in length: {counts} rows; they must be equal")
    return ColumnsSource(tuple(parts), address)
