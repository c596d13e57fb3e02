"""Dask arrays: their blocks are inputs of tasks, so no worker reads them by row index."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from gmm_dask.chunked.borrowed.dask import kind_of_blocks, nothing_like, planned
from gmm_dask.chunked.sources.protocol import (
    Boundaries,
    DataError,
    Source,
    Values,
    native,
    real_dtype,
    table_shape,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DaskSource:
    """A 2-D Dask array with one chunk across all features."""

    array: Any
    names: tuple[str, ...]
    address: str

    lazy = True

    @cached_property
    def shape(self) -> tuple[int, int]:
        return table_shape(self.array.shape, self.address)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        return real_dtype(self.array.dtype, self.address)

    def layouts(self) -> list[Boundaries]:
        lengths = np.asarray(self.array.chunks[0], dtype=np.int64)
        return [np.unique(np.concatenate([[0], np.cumsum(lengths)]))]

    def read(self, first: int, last: int) -> Values:
        # Only without a cluster: there, blocks are task inputs (see `blocks`).
        return native(self.array[first:last].compute(scheduler="threads"))

    def blocks(self, cuts: Sequence[int]) -> list[Any]:
        """One delayed array per block of the plan."""
        part = self.array[cuts[0] : cuts[-1]]
        lengths = tuple(int(n) for n in np.diff(cuts))
        return list(part.rechunk((lengths, self.shape[1])).to_delayed().ravel())

    def verify(self, first: int, last: int) -> None:
        del first, last  # what lies behind a graph is not known here

    def may_be_fill(self, first: int, table: Values) -> bool:
        del first, table
        return False

    def chunk_of(self, row: int, feature: int) -> str:
        del feature
        layout = self.layouts()[0]
        return f"Dask chunk {int(np.searchsorted(layout, row, side='right')) - 1}"

    def select(self, columns: Sequence[int]) -> Source:
        names = tuple(self.names[j] for j in columns)
        return replace(self, array=self.array[:, list(columns)], names=names)

    def restrict(self, first: int, last: int) -> Source:
        del first, last
        return self

    def fingerprint(self) -> dict[str, object]:
        return {
            "kind": "dask",
            "address": self.address,
            "shape": list(self.shape),
            "dtype": self.dtype.str,
            "chunks": [int(n) for n in self.array.chunks[0]],
        }


def open_dask(array: Any, names: tuple[str, ...] | None, address: str | None) -> Source:
    """A Dask array of known or unknown chunk sizes as a table."""
    from gmm_dask.chunked.sources.protocol import default_names

    address = address or f"Dask array {array.name}"
    refuse_other_blocks(array, address)
    array = planned(array)
    if array.ndim in (1, 2) and np.isnan(array.shape).any():
        array = _measured(array, address)
    features = table_shape(array.shape, address)[1]
    array = array.map_blocks(_as_declared, address=address, meta=nothing_like(array))
    table = array.reshape(-1, 1) if array.ndim == 1 else array.rechunk({1: -1})
    return DaskSource(table, names or default_names(features), address)


def refuse_other_blocks(array: Any, address: str) -> None:
    """Blocks are NumPy arrays of numbers, as far as can be told before any is computed."""
    kind = kind_of_blocks(array)
    if not issubclass(kind, np.ndarray) or issubclass(kind, np.ma.MaskedArray):
        raise DataError(
            f"{address} holds blocks of {kind.__name__}; map its blocks to NumPy arrays first"
        )
    real_dtype(array.dtype, address)


def _as_declared(block: Any, address: str, block_info: Any = None) -> Any:
    """A block itself, if it is what its array says: a graph may well compute something else."""
    declared = block_info[0]
    where = f"{address}, chunk {'/'.join(map(str, declared['chunk-location']))}"
    if not isinstance(block, np.ndarray) or isinstance(block, np.ma.MaskedArray):
        raise DataError(f"{where} came as {type(block).__name__}; map it to a NumPy array first")
    real_dtype(block.dtype, where)
    shape = tuple(last - first for first, last in declared["array-location"])
    if block.shape != shape:
        raise DataError(
            f"{where} came with shape {block.shape} and is declared {shape}: its graph computes "
            "something else; give map_blocks the chunks that come out"
        )
    return block


def _measured(array: Any, address: str) -> Any:
    logger.info("%s has chunks of unknown size: computing it once to learn them", address)
    # A new object: compute_chunk_sizes writes into the one that it is called on.
    return array.copy().compute_chunk_sizes()
