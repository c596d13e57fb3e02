"""One pass over all rows, as the loop sees it: a function of a block, a value, a sum.

Knows blocks and how they add up; knows neither mixtures nor where the blocks are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import add
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

from gmm_dask.chunked.blas import one_blas_thread
from gmm_dask.chunked.rows import Policy, Rows, Values, Weights, kept_rows
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

    @classmethod
    def of(
        cls, rows: Rows, name: str, step: int | None, seconds: float, **costs: Any
    ) -> PassReport:
        """Of a pass over these rows."""
        return cls(name, step, seconds, rows.shape[0], rows.nbytes, len(rows), **costs)


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
class MapReduce(Generic[V, T]):
    """What to do with a block, the same for every task of a pass."""

    function: MapFunction[V, T]
    combine: Callable[[T, T], T]
    nonfinite: Policy
    """What becomes of rows before the function has them; nothing, where it is "error"."""

    def nodes(self, blocks: Iterable[Placed], value: V) -> list[Node[T]]:
        """The nodes of the tree over a run of blocks."""
        with one_blas_thread():
            return nodes(((b.index, 0, self._one(b, value)) for b in blocks), self.combine)

    def _one(self, block: Placed, value: V) -> T:
        table, weights = block.table, block.weights
        if self.nonfinite != "error":
            table, weights = kept_rows(table, weights, self.nonfinite)
        return self.function(table, weights, block.first_row, value)
