"""Listens on the scheduler: to fits, to tasks that end, to workers and drivers that leave.

Knows Dask's plugins; keeps all in `Fits`. Whatever goes wrong here is logged once and harms no fit.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from distributed import SchedulerPlugin

from gmm_dask.chunked.engines.dask import TOPIC
from gmm_dask.chunked.engines.tasks import COMPILING
from gmm_dask.chunked.metrics.meters import GONE, Book
from gmm_dask.dashboard.fits import Fits, Load
from gmm_dask.dashboard.phases import Passes, WorkerLoads, run_of

QUEUED_SECONDS = 2.0
"""Tasks wait that long, and no shorter, before it is said that they do."""

logger = logging.getLogger(__name__)


def harmless(listen: Callable[..., None]) -> Callable[..., None]:
    """A method that never raises: the first problem is logged, the others are not."""

    @functools.wraps(listen)
    def listened(self: Listener, *arguments: Any, **options: Any) -> None:
        try:
            listen(self, *arguments, **options)
        except Exception:
            if not self.failed:
                logger.exception(
                    "the dashboard of fits missed something; further cases are not told"
                )
            self.failed = True

    return listened


class Listener(SchedulerPlugin):  # type: ignore[misc]
    """What one scheduler hears of fits."""

    name = "gmm-dask"
    idempotent = True

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.fits = Fits()
        self.book = Book()
        self.failed = False
        self.without_page: str | None = None
        """Why there is no page, for those who would look for it."""
        self._passes = Passes()
        self._phases: dict[str, dict[str, float]] = {}
        self._names = {one: str(state.name) for one, state in scheduler.workers.items()}

    @harmless
    def transition(self, key: Any, start: str, finish: str, *_: Any, **details: Any) -> None:
        """A task that has ended on a worker is counted."""
        if start == "processing" and finish == "memory" and details.get("startstops"):
            self._passes.add(key, details["worker"], details["startstops"], details.get("metadata"))

    @harmless
    def log_event(self, topic: str, msg: Mapping[str, Any]) -> None:
        """Something that a fit tells, or a worker that compiles."""
        if topic == COMPILING:
            for one in self.fits.running():
                one.compiles(msg["where"], msg["seconds"])
        if topic == TOPIC:
            self.book.hear(msg)
            fit = self.fits.get(msg["run"])
            if fit is not None:
                fit.heard = time.time()
            heard = {"begin": self._begin, "pass": self._pass, "iteration": self._iterate}
            heard.get(msg["event"], self._end)(msg)

    async def close(self) -> None:
        """The scheduler ends: nobody can ask for this any more."""
        self.fits, self.book = Fits(), Book()

    @harmless
    def add_worker(self, scheduler: Any, worker: str) -> None:
        """A worker that comes."""
        self._names[worker] = str(scheduler.workers[worker].name)
        for fit in self.fits.running():
            fit.move(self._names[worker], "joined")

    @harmless
    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """A worker that leaves."""
        del scheduler
        name = self._names.pop(worker, worker)
        for fit in self.fits.running():
            fit.move(name, "left")

    @harmless
    def look_at_queues(self) -> None:
        """Which fits have tasks at workers and none at work, and whose are at work meanwhile.

        Workers tell what they have in hand with their heartbeats: what ended a moment ago counts.
        """
        running = {fit.run: fit for fit in self.fits.running()}
        wanted, at_work = set(), self._passes.ended_since(time.time() - QUEUED_SECONDS)
        for worker in self.scheduler.workers.values():
            wanted |= {run_of(task.key) for task in worker.processing}
            at_work |= {run_of(task.key) for task in worker.executing}
        for run, fit in running.items():
            waits = run in wanted and run not in at_work
            others = [other.name for one, other in running.items() if one in at_work]
            fit.behind = tuple(others) if waits else ()

    @harmless
    def remove_client(self, scheduler: Any, client: str) -> None:
        """A driver that leaves without a word."""
        del scheduler
        for fit in self.fits.running():
            if fit.client == client:
                fit.end(GONE, "it left without a word; start it again to go on")
                self.book.hear({"event": "end", "run": fit.run, "outcome": GONE})

    def _begin(self, event: Mapping[str, Any]) -> None:
        self._forget(event["run"])
        self.fits.begin(event)

    def _pass(self, event: Mapping[str, Any]) -> None:
        """What its tasks took becomes a part of the iteration that is told of next."""
        run, work = event["run"], self._passes.take(event["run"])
        fit = self.fits.get(run)
        if fit is None:
            return
        if event["attempts"] > 1:
            fit.retries += event["attempts"] - 1
            fit.note(f"a pass ({event['name']}) took {event['attempts']} attempts")
        if event["name"] != "sweep":
            return
        phases = work.phases(event["seconds"], self.scheduler.total_nthreads)
        before = self._phases.get(run, {})
        self._phases[run] = {name: before.get(name, 0.0) + phases[name] for name in phases}
        fit.workers = self._named(work)

    def _named(self, work: WorkerLoads) -> dict[str, Load]:
        """What every worker had to do, also those that had nothing."""
        return {
            str(state.name): Load(work.workers.get(address, 0.0) / state.nthreads, state.nthreads)
            for address, state in self.scheduler.workers.items()
        }

    def _iterate(self, event: Mapping[str, Any]) -> None:
        phases = self._phases.pop(event["run"], {})
        fit = self.fits.get(event["run"])
        if fit is not None:
            own = {"M-step": event["m_step_seconds"], "checkpoint": event["checkpoint_seconds"]}
            fit.iterate(event, {**phases, **own})

    def _end(self, event: Mapping[str, Any]) -> None:
        fit = self.fits.get(event["run"])
        if event["event"] == "end" and fit is not None:
            fit.end(event["outcome"], event["problem"])
        self._forget(event["run"])

    def _forget(self, run: str) -> None:
        self._passes.take(run)
        self._phases.pop(run, None)
