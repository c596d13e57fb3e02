"""Passes on a Dask cluster: few tasks, each over a run of blocks, added up in a tree.

Every key is a task that can be computed again: rows are loaded by tasks (never scattered) and
the pass's value is a task too, so a lost worker costs its own share and nothing else.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import partial
from operator import add
from typing import Any, TypeVar

from distributed import Client, Future

from gmm_dask.chunked.borrowed.distributed.messages import hurry, keep_few
from gmm_dask.chunked.engines import tasks
from gmm_dask.chunked.engines.attempts import Attempts
from gmm_dask.chunked.engines.demand import Demand
from gmm_dask.chunked.engines.faults import ClusterError
from gmm_dask.chunked.engines.graph import Graph
from gmm_dask.chunked.engines.keys import Labels
from gmm_dask.chunked.engines.patience import Patience
from gmm_dask.chunked.engines.placement import Placement
from gmm_dask.chunked.engines.protocol import Cache, MapFunction, MapReduce, PassReport
from gmm_dask.chunked.engines.shares import Runs, tasks_for
from gmm_dask.chunked.engines.submission import large_arguments, submit, submit_each
from gmm_dask.chunked.engines.suspects import fallen
from gmm_dask.chunked.engines.waiting import Watch, result_of
from gmm_dask.chunked.engines.workers import HEARD_WITHIN, asked, fits_in_memory
from gmm_dask.chunked.rows import Rows
from gmm_dask.chunked.sources.memory_source import MemorySource
from gmm_dask.mixture.compilation import compilation_reported_to

T = TypeVar("T")
V = TypeVar("V")

TOPIC = "gmm-dask"


class DaskEngine:
    """Passes over `rows` on the cluster of `client`; bits as those of the serial engine."""

    def __init__(
        self,
        client: Client,
        rows: Rows,
        *,
        cache: Cache = "auto",
        memory_share: float = 0.5,
        tasks_per_thread: int | None = None,
        attempts: int = 4,
        no_workers_timeout: float | None = None,
        run: str | None = None,
        on_pass: Callable[[PassReport], None] | None = None,
        on_tell: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.client = client
        self.rows = rows
        self.run = run or secrets.token_hex(4)
        self._attempts = attempts
        self._on_pass, self._on_tell = on_pass, on_tell
        self._label = Labels(self.run)
        self._seconds: dict[str, float] = {}
        self._suspects: Runs = []
        self._demand = Demand(partial(submit_each, client), lambda: self._label("to-come", None))
        self._ask = partial(asked, client)
        waits = Patience(no_workers_timeout)
        self._watch = Watch(self._ask, waits, lambda: self.placement.forget())
        if cache == "auto" and not isinstance(rows.source, MemorySource):
            self._threads()  # what fits is a matter of workers: of the first ones at least
        self.cached = cache == "memory" or (
            cache == "auto" and fits_in_memory(client, rows, memory_share)
        )
        self.placement = Placement(
            client, rows, self._label, cached=self.cached, tasks_per_thread=tasks_per_thread
        )
        keep_few(client, HEARD_WITHIN)
        self._hurry = ExitStack()
        self._hurry.callback(hurry(client))
        self._hurry.enter_context(compilation_reported_to(self._tell_of_compiling))

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
        self._watch.begin()
        attempts = Attempts(self.rows, self._attempts)
        # Where something went wrong, small tasks: fewer blocks to suspect.
        each = tasks_for(self._seconds.get(name), self.cached)
        while True:
            try:
                began = time.perf_counter()
                result: T = self._attempt(work, value, name, step, verify, each)
                threads = self.placement.threads_worth(time.perf_counter() - began)
                break
            except Exception as problem:
                connected = self.client.status == "running"
                time.sleep(
                    attempts.pause_after(
                        problem, connected=connected, suspects=self._suspects, fallen=self._fallen
                    )
                )
            each = None
        seconds = self._seconds[name] = time.perf_counter() - started
        with suppress(Exception):  # the next pass is told if the cluster is gone
            self._demand.show(threads)
        self._report(name, step, seconds, attempts.count)
        return result

    def _attempt(
        self,
        work: MapReduce[V, T],
        value: V,
        name: str,
        step: int | None,
        verify: bool,
        each: int | None,
    ) -> Any:
        graph = Graph(self.client, self.placement, work, self._label, step)
        try:
            with large_arguments():
                self.placement.place(self._threads(), each)
                # Nobody here has what was sent while it is waited for: it may be large.
                root = self.client.sync(graph.submit, tasks.Packed.of(value), name, verify)
            result = result_of(root, self._look)
            # What asked for it in vain may hold it for long, and with it a worker that could go.
            root.release()
            return result
        except BaseException:
            self._suspects = self.placement.suspects(graph.made)
            with suppress(Exception):  # also on Ctrl-C
                graph.cancel()
            raise

    def _threads(self) -> dict[str, int]:
        return self._watch.threads(self._want)

    def _want(self) -> Future:
        return submit(self.client, tasks.same, None, key=self._label("first", None))

    def _look(self) -> None:
        self._watch.look()
        with suppress(Exception):
            self._demand.renew()

    def _fallen(self) -> Runs:
        events = self._ask("events", topic="all")
        return fallen(events, self.run, self.placement.shares, self._attempts)

    def tell(self, event: str, **facts: object) -> None:
        """A structured event for whoever subscribes to the topic `gmm-dask`."""
        message = {"event": event, "run": self.run, "client": self.client.id, **facts}
        if self._on_tell is not None:
            self._on_tell(message)
        # an event is no reason to lose a pass
        with suppress(OSError, ClusterError):
            self._ask("log_event", seconds=HEARD_WITHIN, topic=TOPIC, msg=message)

    def _tell_of_compiling(self, seconds: float | None) -> None:
        message = {"where": "the driver", "seconds": seconds}
        with suppress(Exception):
            self._ask("log_event", seconds=HEARD_WITHIN, topic=tasks.COMPILING, msg=message)

    def _report(self, name: str, step: int | None, seconds: float, attempts: int) -> None:
        report = PassReport.of(
            self.rows,
            name,
            step,
            seconds,
            tasks=len(self.placement.dealt),
            attempts=attempts,
            cached=self.cached,
        )
        self.tell("pass", **asdict(report))
        if self._on_pass is not None:
            self._on_pass(report)

    def close(self) -> None:
        """Let go of the rows that workers hold, of passes to come, and of the client's hurry."""
        self.placement.forget()
        self._demand.close()
        self._hurry.close()
