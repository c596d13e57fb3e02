"""What every kind of file is read as: named columns, and batches of rows in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.sources import DataError

Batch: TypeAlias = NDArray[Any]


@dataclass(frozen=True, eq=False)
class TableFile:
    """One file: `batches(n)` reads it once, in parts (≤ n, D) of the dtype."""

    path: str
    names: tuple[str, ...]
    dtype: np.dtype[Any]
    batches: Callable[[int], Iterator[Batch]]


def chosen(path: str, names: Sequence[str], wanted: Sequence[str] | None) -> list[int]:
    """The positions of the wanted columns, or of all of them."""
    if wanted is None:
        if len(set(names)) < len(names):
            raise DataError(f"{path} has columns of the same name: {', '.join(names)}")
        return list(range(len(names)))
    missing = [name for name in wanted if name not in names]
    if missing or not wanted:
        raise DataError(f"{path} has no column {missing}; it has {', '.join(names)}")
    return [list(names).index(name) for name in wanted]


def unnamed(count: int) -> tuple[str, ...]:
    """x0, x1, … where a file has no names."""
    return tuple(f"x{j}" for j in range(count))
