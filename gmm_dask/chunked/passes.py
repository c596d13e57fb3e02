"""One pass over all rows, as the loop sees it: a function of a block, a value, a sum.

Knows blocks and how they add up; knows neither mixtures nor where the blocks are computed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import add
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

from threadpoolctl import ThreadpoolController

from gmm_dask.chunked.rows import Rows, Table, Weights, kept_rows
from gmm_dask.chunked.stream import Placed
from gmm_dask.chunked.tree import Node, nodes

T = TypeVar("T")
V = TypeVar("V")

MapFunction = Callable[[Table, Weights, int, V], T]


@dataclass(frozen=True)
class PassReport:
    """What a finished pass has cost."""

    name: str
    step: int | None
    seconds: float
    rows: int
    bytes: int
    blocks: int
    tasks: int
    attempts: int
    cached: bool


class Engine(Protocol):
    """All that a loop knows of the data: pass a function over every block and add the results."""

    @property
    def rows(self) -> Rows: ...

    def map_reduce(
        self,
        function: MapFunction[V, T],
        value: V,
        *,
        name: str = "sweep",
        step: int | None = None,
        combine: Callable[[T, T], T] = add,
        every_row: bool = False,
        verify: bool = False,
    ) -> T:
        """combine, in tree order, of function(table, weights, first global row, value).

        `every_row` passes rows on that the policy would skip; `verify` looks for absent chunks.
        A block may be empty where all its rows are skipped.
        """

    def tell(self, event: str, **facts: object) -> None:
        """Say what has happened to whoever listens; costs nothing where nobody can."""


@dataclass(frozen=True)
class Work(Generic[V, T]):
    """What to do with a block, the same for every task of a pass."""

    function: MapFunction[V, T]
    combine: Callable[[T, T], T]
    skip: bool

    def nodes(self, blocks: Iterable[Placed], value: V) -> list[Node[T]]:
        """The nodes of the tree over a run of blocks."""
        with one_blas_thread():
            return nodes(((b.index, 0, self._one(b, value)) for b in blocks), self.combine)

    def _one(self, block: Placed, value: V) -> T:
        table, weights = block.table, block.weights
        if self.skip:
            table, weights = kept_rows(table, weights)
        return self.function(table, weights, block.first_row, value)


class _Pin:
    """Limits BLAS to one thread while anyone in this process wants it so.

    The limit belongs to the process, not to the thread: without counting, the first task to
    end would lift it under the others.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.holders = 0
        self.limits: Any = None
        self.controller = ThreadpoolController()
        self.modules = 0

    def take(self) -> None:
        with self.lock:
            self.holders += 1
            if self.holders == 1:
                self.limits = self._libraries().limit(limits=1)

    def _libraries(self) -> ThreadpoolController:
        # Looking for libraries takes 2 ms: only where imports may have loaded others.
        if self.modules != len(sys.modules):
            self.controller, self.modules = ThreadpoolController(), len(sys.modules)
        return self.controller

    def give(self) -> None:
        with self.lock:
            self.holders -= 1
            if self.holders == 0:
                self.limits.restore_original_limits()


_PIN = _Pin()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS on one thread: another number of threads gives other bits."""
    _PIN.take()
    try:
        yield
    finally:
        _PIN.give()
