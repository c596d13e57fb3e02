"""Shows a scheduler that more passes are to come than the one that it sees.

A cluster that adapts has a worker for every few seconds (Dask's default: five) of tasks that there
are. Of a fit there is one pass, and if that is shorter, one worker has it all. So what is to come
is there as well: tasks that no worker can run, and that nobody waits for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import dask
from dask.utils import parse_timedelta
from distributed import Future

from gmm_dask.chunked.engines.tasks import same

NOBODY = {"resources": {"passes of gmm-dask to come": 1}}
"""Where such a task would run, as Dask's client takes it."""
MOST = 1_000
ALIKE = 1.5
"""Times as many threads, or as few, that are no reason to show anything else."""
FRESH_SECONDS = 30.0
"""Schedulers that wait for workers for so long only (120 s, as we set them) make errors of such
tasks, and tell their log: they are taken back before."""

Submit = Callable[..., list[Future]]


class Demand:
    """Passes to come on one scheduler, each of which would employ so many threads."""

    def __init__(self, submit: Submit, label: Callable[[], str]) -> None:
        self._submit, self._label = submit, label
        self._threads, self._shown, self._tasks = 1, 0.0, list[Future]()

    def show(self, threads: int) -> None:
        """Have a cluster that adapts keep this number of threads, or come to it."""
        if self._threads / ALIKE <= threads <= self._threads * ALIKE:
            self.renew()
        else:
            self._threads = threads
            self._show()

    def renew(self) -> None:
        """The same, where it has been there for a while."""
        if self._tasks and time.monotonic() - self._shown > FRESH_SECONDS:
            self._show()

    def close(self) -> None:
        """Nothing more is to come."""
        self._tasks = []

    def _show(self) -> None:
        self._shown = time.monotonic()
        label, count = self._label(), tasks_of(self._threads)
        each = (((label, i), (i,)) for i in range(count))
        # Those before go when the new ones are there: at no time is nothing to come.
        self._tasks = self._submit(same, each, [NOBODY] * count) if count else []


def tasks_of(threads: int) -> int:
    """As many as it takes, each counting as long as a task that Dask has seen none like; none for
    the one thread that any pass has."""
    if threads < 2:
        return 0
    seconds = threads * _seconds("distributed.adaptive.target-duration")
    return min(MOST, int(seconds / _seconds("distributed.scheduler.unknown-task-duration")))


def _seconds(setting: str) -> float:
    return float(parse_timedelta(dask.config.get(setting)))
