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
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

from threadpoolctl import ThreadpoolController

from gmm_dask.chunked.rows import Rows, Values, Weights, kept_rows
from gmm_dask.chunked.stream import Placed
from gmm_dask.chunked.tree import Node, nodes

T = TypeVar("T")
V = TypeVar("V")

MapFunction = Callable[[Values, Weights, int, V], T]
Cache: TypeAlias = Literal["auto", "memory", "none"]


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

    Most libraries have one limit for the process: without counting, the first task to end would
    lift it under the others. Those that OpenMP drives have one for each thread, which must set it.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.holders = 0
        self.limits: list[Any] = []
        self.modules = 0

    def take(self) -> Any:
        """Limit what is shared; what is this thread's own is limited by what is returned."""
        with self.lock:
            self.holders += 1
            if self._libraries_are_new() or self.holders == 1:
                _take_control(self.shared)
                self.limits.append(self.shared.limit(limits=1))
            return self.own.limit(limits=1)

    def _libraries_are_new(self) -> bool:
        # Looking for libraries takes 2 ms: only where imports may have loaded others.
        if self.modules == len(sys.modules):
            return False
        found, self.modules = ThreadpoolController(), len(sys.modules)
        self.own = found.select(user_api="openmp", threading_layer="openmp")
        own = {library.filepath for library in self.own.lib_controllers}
        self.shared = found.select(
            filepath=[lib.filepath for lib in found.lib_controllers if lib.filepath not in own]
        )
        return True

    def give(self, own: Any) -> None:
        own.restore_original_limits()
        with self.lock:
            self.holders -= 1
            while self.limits and not self.holders:
                _take_control(self.shared)
                self.limits.pop().restore_original_limits()
                _take_control(self.shared)


def _take_control(controller: ThreadpoolController) -> None:
    """Let the next thread that limits OpenBLAS do so, whichever did before.

    threadpoolctl from 3.8 on obeys the first alone, while it lives and has not let go, and does
    nothing for others.
    """
    for library in controller.lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


_PIN = _Pin()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS on one thread: another number of threads gives other bits."""
    own = _PIN.take()
    try:
        yield
    finally:
        _PIN.give(own)
