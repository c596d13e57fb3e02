"""How long a pass waits for workers: for the first to come, and while none of them runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import dask
from dask.utils import parse_timedelta

from gmm_dask.chunked.engines.faults import ClusterError

NO_WORKERS_TIMEOUT = "120s"

Worker = Mapping[str, Any]
"""What a scheduler says of a worker."""


class Patience:
    """So many seconds without any worker that runs, then an error; left out, as many as Dask's own
    scheduler is told to wait."""

    def __init__(
        self, seconds: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = configured() if seconds is None else seconds
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """From now on."""
        self._alive = self._clock()

    def check(self, workers: Collection[Worker]) -> None:
        """Raise once these workers, which are all that there are, have not run for too long."""
        if any(worker["status"] == "running" or _executing(worker) for worker in workers):
            self.begin()
        elif self._clock() - self._alive > self._seconds:
            states = Counter(str(worker["status"]) for worker in workers)
            counts = ", ".join(f"{n} {state}" for state, n in states.items()) or "none connected"
            raise ClusterError(
                f"no worker has been running for {self._seconds:.0f} s (workers: {counts}); "
                "start workers or give them more memory, then resume"
            )


class KnownWorkers:
    """The workers that were there when last looked for.

    A task that prefers a worker, made runnable while there is none at all, waits for that very one
    for ever: the same asked anew, of the workers that have come, does not.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()

    def replaced_by(self, workers: Iterable[str]) -> bool:
        """Whether there are workers and none of them is known; they are from now on."""
        present = set(workers)
        replaced = bool(present and self._known) and not present & self._known
        self._known = present or self._known
        return replaced


def configured() -> float:
    """Seconds that Dask's scheduler is told to wait while no worker runs."""
    timeout = dask.config.get("distributed.scheduler.no-workers-timeout", None)
    return float(parse_timedelta(timeout or NO_WORKERS_TIMEOUT))


def _executing(worker: Worker) -> bool:
    """Whether a worker, which may be paused, has a task in hand."""
    counts = worker.get("metrics", {}).get("task_counts", {})
    return bool(counts.get("executing", 0))
