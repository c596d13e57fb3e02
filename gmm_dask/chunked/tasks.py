"""What runs on workers: loading a share, sweeping over it, adding up.

Also how blocks of a Dask array become inputs of such tasks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, TypeVar

import dask
from distributed import get_worker

from gmm_dask.chunked.passes import Work
from gmm_dask.chunked.rows import Rows, Table, as_weights
from gmm_dask.chunked.sources.dask_source import DaskSource
from gmm_dask.chunked.sources.protocol import Source, native
from gmm_dask.chunked.stream import Placed, stream
from gmm_dask.chunked.tree import fold

T = TypeVar("T")
V = TypeVar("V")


def same(value: V) -> V:
    """A value as a task: fetched once per worker, computed again where it is lost."""
    return value


def load(share: Rows) -> list[Placed]:
    """All blocks of a share, to be held; read once, so absent chunks are looked for here."""
    return list(stream(share, verify=True))


def hold(blocks: list[Placed]) -> list[Placed]:
    return blocks


def sweep(work: Work[V, T], share: Rows, value: V, verify: bool) -> T:
    return work.fold(timed(stream(share, verify=verify)), value)


def timed(blocks: Iterator[Placed]) -> Iterator[Placed]:
    """The same blocks; how long they were waited for is told to the scheduler with the result."""
    waited, began = 0.0, time.perf_counter()
    for block in blocks:
        waited += time.perf_counter() - began
        yield block
        del block
        began = time.perf_counter()
    with suppress(ValueError, KeyError, AttributeError):  # not in a task: nobody is told
        worker = get_worker()
        worker.state.tasks[worker.get_current_task()].metadata["waited"] = waited


def sweep_held(work: Work[V, T], blocks: list[Placed], value: V) -> T:
    return work.fold(blocks, value)


def merge(work: Work[V, T], nodes: list[T]) -> T:
    return fold(nodes, work.combine)


def delayed_blocks(rows: Rows) -> list[Any]:
    """One delayed Placed per block, for rows of which some source is a Dask array."""
    place = dask.delayed(placed, pure=False)
    tables = _delayed_tables(rows.source, rows.cuts)
    heights: Sequence[Any] = [None] * len(rows)
    if rows.weights is not None:
        heights = _delayed_tables(rows.weights, rows.cuts)
    return [
        place(i, rows.cuts[i], table, weights)
        for i, (table, weights) in enumerate(zip(tables, heights, strict=True))
    ]


def placed(index: int, first_row: int, table: Table, weights: Table | None) -> Placed:
    return Placed(index, first_row, native(table), None if weights is None else as_weights(weights))


def _delayed_tables(source: Source, cuts: Sequence[int]) -> list[Any]:
    if isinstance(source, DaskSource):
        return source.blocks(cuts)
    read = dask.delayed(read_range, pure=False)
    return [read(source.restrict(first, last), first, last) for first, last in pairwise(cuts)]


def read_range(source: Source, first: int, last: int) -> Table:
    return source.read(first, last)
