"""Passes in this process: what the bits of every other engine are held against."""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cached_property
from itertools import chain
from operator import add
from threading import Event
from typing import Any, Literal, TypeVar

from distributed.system import MEMORY_LIMIT

from gmm_dask.chunked.engines.protocol import MapFunction, MapReduce, PassReport
from gmm_dask.chunked.rows import Rows
from gmm_dask.chunked.stream import Placed, stream
from gmm_dask.chunked.tree import Node, root, shares

T = TypeVar("T")
V = TypeVar("V")

logger = logging.getLogger(__name__)


class SerialEngine:
    """The reference: every block in order in this process, added up in tree order.

    With `threads`, runs of blocks at once: other nodes of the same tree, the same bits.
    """

    def __init__(
        self,
        rows: Rows,
        *,
        cache: Literal["auto", "memory", "none"] = "auto",
        memory_share: float = 0.5,
        threads: int = 1,
        on_pass: Callable[[PassReport], None] | None = None,
        on_tell: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.rows = rows
        self.threads = min(threads, len(rows))
        self.run = secrets.token_hex(4)
        self._on_pass, self._on_tell = on_pass, on_tell
        fits = rows.nbytes <= memory_share * MEMORY_LIMIT
        self.cached = cache == "memory" or (cache == "auto" and fits)
        self._held: tuple[Placed, ...] | None = None

    @cached_property
    def _others(self) -> ThreadPoolExecutor:
        """Kept from pass to pass: to start threads takes as long as a pass over a megabyte."""
        return ThreadPoolExecutor(self.threads - 1, thread_name_prefix="sweep")

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
        work = MapReduce(function, combine, "error" if every_row else self.rows.nonfinite)
        if self.cached:
            self._hold()
        result = self._at_once(work, value, verify)
        seconds = time.perf_counter() - started
        report = PassReport.of(
            self.rows,
            name,
            step,
            seconds,
            tasks=len(self._shares()),
            attempts=1,
            cached=self.cached,
        )
        self.tell("pass", **vars(report))
        if self._on_pass is not None:
            self._on_pass(report)
        return result

    def tell(self, event: str, **facts: object) -> None:
        logger.debug("%s: %s", event, facts)
        if self._on_tell is not None:
            self._on_tell({"event": event, "run": self.run, **facts})

    def _at_once(self, work: MapReduce[V, T], value: V, verify: bool) -> T:
        if self.threads == 1:
            return root(work.nodes(self._blocks(0, len(self.rows), verify), value), work.combine)
        shares = self._shares()
        left, stopped = deque(enumerate(shares)), Event()
        nodes: list[list[Node[T]]] = [[] for _ in shares]

        def take() -> None:
            while True:
                try:
                    number, share = left.popleft()
                except IndexError:
                    return
                blocks = _unless(stopped, self._blocks(*share, verify))
                nodes[number] = work.nodes(blocks, value)

        taking: list[Future[None]] = []
        try:
            for _ in range(self.threads - 1):
                taking.append(self._others.submit(take))
            take()  # this thread works as well: others take a while to wake
            for one in taking:
                one.result()
        except BaseException:  # also Ctrl-C: what is still running ends with its block
            stopped.set()
            left.clear()
            wait(taking)
            raise
        return root(chain.from_iterable(nodes), work.combine)

    def _shares(self) -> list[tuple[int, int]]:
        if self.threads == 1:
            return [(0, len(self.rows))]
        return shares(len(self.rows), self.threads)

    def _hold(self) -> None:
        if self._held is None:
            self._held = tuple(stream(self.rows, verify=True))

    def _blocks(self, first: int, last: int, verify: bool) -> Iterable[Placed]:
        if self._held is not None:
            return self._held[first:last]
        return stream(self.rows, first, last, verify=verify)

    def close(self) -> None:
        self._held = None
        if "_others" in vars(self):
            self._others.shutdown()


def _unless(stopped: Event, blocks: Iterable[Placed]) -> Iterator[Placed]:
    """Blocks until someone gives up."""
    for block in blocks:
        if stopped.is_set():
            raise RuntimeError("the pass was given up")
        yield block
