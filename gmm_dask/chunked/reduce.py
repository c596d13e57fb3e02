"""Map and a fixed tree of sums over blocks, in this process or on a Dask cluster.

Knows blocks, tasks and keys; knows nothing of mixtures. Both engines give the same bits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from operator import add
from typing import Literal, TypeVar

from distributed.system import MEMORY_LIMIT

from gmm_dask.chunked.cluster import DaskEngine
from gmm_dask.chunked.faults import BlocksKilledWorkers, ClusterError, cluster_settings
from gmm_dask.chunked.passes import Engine, MapFunction, PassReport, Work, one_blas_thread
from gmm_dask.chunked.rows import Rows
from gmm_dask.chunked.stream import Placed, stream
from gmm_dask.chunked.tree import fold, share_size

__all__ = [
    "BlocksKilledWorkers",
    "ClusterError",
    "DaskEngine",
    "Engine",
    "MapFunction",
    "PassReport",
    "SerialEngine",
    "cluster_settings",
    "fold",
    "one_blas_thread",
    "share_size",
]

T = TypeVar("T")
V = TypeVar("V")

logger = logging.getLogger(__name__)


class SerialEngine:
    """The reference: every block in order in this process, added up in tree order."""

    def __init__(
        self,
        rows: Rows,
        *,
        cache: Literal["auto", "memory", "none"] = "auto",
        memory_share: float = 0.5,
        on_pass: Callable[[PassReport], None] | None = None,
    ) -> None:
        self.rows = rows
        self._on_pass = on_pass
        fits = rows.nbytes <= memory_share * MEMORY_LIMIT
        self.cached = cache == "memory" or (cache == "auto" and fits)
        self._held: tuple[Placed, ...] | None = None

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
        started = time.perf_counter()
        work = Work(function, combine, self.rows.nonfinite == "skip" and not every_row)
        result = work.fold(self._blocks(verify), value)
        seconds = time.perf_counter() - started
        report = PassReport(
            name,
            step,
            seconds,
            self.rows.shape[0],
            self.rows.nbytes,
            len(self.rows),
            tasks=1,
            attempts=1,
            cached=self.cached,
        )
        logger.debug("%s", report)
        if self._on_pass is not None:
            self._on_pass(report)
        return result

    def tell(self, event: str, **facts: object) -> None:
        logger.debug("%s: %s", event, facts)

    def _blocks(self, verify: bool) -> Iterable[Placed]:
        if not self.cached:
            return stream(self.rows, verify=verify)
        if self._held is None:
            self._held = tuple(stream(self.rows, verify=True))
        return self._held

    def close(self) -> None:
        self._held = None
