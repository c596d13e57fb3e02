"""What runs on workers: loading a share, sweeping over it, adding up.

Also how blocks of a Dask array become inputs of such tasks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, pairwise
from typing import Any, Generic, TypeVar

import dask
from distributed import get_worker
from distributed.protocol.pickle import dumps, loads

from gmm_dask.chunked.blas import one_blas_thread
from gmm_dask.chunked.borrowed.distributed.workers import client_is_told, note_on_task
from gmm_dask.chunked.engines.protocol import MapReduce
from gmm_dask.chunked.rows import Rows, Values, as_weights
from gmm_dask.chunked.sources.dask_source import DaskSource
from gmm_dask.chunked.sources.protocol import Source, native
from gmm_dask.chunked.stream import Placed, stream
from gmm_dask.chunked.tree import Node, nodes, root
from gmm_dask.mixture.compilation import compilation_reported_to
from gmm_dask.store.retries import told_to

COMPILING = "gmm-dask-compiling"
"""The topic of who compiles, apart from what fits tell: a worker compiles for all of them."""

T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True, eq=False)
class Packed(Generic[V]):
    """A value on its way: unpacked where it is used, once, on one BLAS thread.

    Neither by the scheduler, which unpickles all that it passes on, nor by the thread with which a
    worker hears and answers: mixtures factor their covariances when they are made.
    """

    data: bytes

    @classmethod
    def of(cls, value: V) -> Packed[V]:
        return cls(dumps(value))

    @cached_property
    def value(self) -> V:
        with one_blas_thread():
            opened: V = loads(self.data)
            return opened

    def __reduce__(self) -> tuple[type[Packed[V]], tuple[bytes]]:
        return type(self), (self.data,)

    def __sizeof__(self) -> int:
        return 2 * len(self.data)  # packed and unpacked


@dataclass(frozen=True, eq=False)
class Share:
    """Some blocks of rows: where these lie, which all tasks of a pass have in common, and its cuts.

    A scheduler holds what it has sent for a while: of all tasks, one source.
    """

    rows: Packed[Rows]
    blocks: Packed[tuple[tuple[int, ...], int]]

    @classmethod
    def of(cls, rows: Rows, whole: Packed[Rows]) -> Share:
        """`whole` is packed `without_blocks`, of all rows that these are some of."""
        return cls(whole, Packed.of((rows.cuts, rows.first_block)))

    @property
    def value(self) -> Rows:
        cuts, first_block = self.blocks.value
        return replace(self.rows.value, cuts=cuts, first_block=first_block)


def without_blocks(rows: Rows) -> Packed[Rows]:
    """What shares of the same rows have in common."""
    return Packed.of(replace(rows, cuts=(), first_block=0))


def same(value: V) -> V:
    """A value as a task: fetched once per worker, computed again where it is lost."""
    return value


def load(share: Share) -> list[Placed]:
    """All blocks of a share, to be held; read once, so absent chunks are looked for here."""
    _waits_are_told()
    return list(stream(share.value, verify=True))


def hold(blocks: list[Placed]) -> list[Placed]:
    return blocks


def sweep(work: MapReduce[V, T], share: Share, value: Packed[V], verify: bool) -> list[Node[T]]:
    _waits_are_told()
    with _compiling_is_told():
        return work.nodes(timed(stream(share.value, verify=verify)), value.value)


def _waits_are_told() -> None:
    """To whoever waits for this worker, too: its own log is read by nobody meanwhile."""
    if tell := client_is_told():
        told_to(tell)


@contextmanager
def _compiling_is_told() -> Iterator[None]:
    """To whoever looks at the scheduler's page: a worker that is fresh may compile for a minute."""
    worker = get_worker()

    def tell(seconds: float | None) -> None:
        worker.log_event(COMPILING, {"where": f"worker {worker.name}", "seconds": seconds})

    with compilation_reported_to(tell):
        yield


def timed(blocks: Iterator[Placed]) -> Iterator[Placed]:
    """The same blocks; how long they were waited for is told to the scheduler with the result."""
    waited, began = 0.0, time.perf_counter()
    for block in blocks:
        waited += time.perf_counter() - began
        yield block
        del block
        began = time.perf_counter()
    note_on_task("waited", waited)


def sweep_held(
    work: MapReduce[V, T], shares: list[list[Placed]], value: Packed[V]
) -> list[Node[T]]:
    with _compiling_is_told():
        return work.nodes(chain.from_iterable(shares), value.value)


def merge(work: MapReduce[V, T], parts: list[list[Node[T]]]) -> list[Node[T]]:
    return nodes(chain.from_iterable(parts), work.combine)


def total(work: MapReduce[V, T], parts: list[list[Node[T]]]) -> T:
    return root(chain.from_iterable(parts), work.combine)


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


def placed(index: int, first_row: int, table: Values, weights: Values | None) -> Placed:
    return Placed(index, first_row, native(table), None if weights is None else as_weights(weights))


def _delayed_tables(source: Source, cuts: Sequence[int]) -> list[Any]:
    if isinstance(source, DaskSource):
        return source.blocks(cuts)
    read = dask.delayed(read_range, pure=False)
    return [read(source.restrict(first, last), first, last) for first, last in pairwise(cuts)]


def read_range(source: Source, first: int, last: int) -> Values:
    return source.read(first, last)
