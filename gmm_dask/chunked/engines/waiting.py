"""Waiting for a cluster: for its first workers, and for what a pass comes to.

A pass whose workers are all gone or paused would wait for ever, so they are looked at meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from distributed import Future

from gmm_dask.chunked.engines.patience import KnownWorkers, Patience

POLL_SECONDS = 2.0

Ask = Callable[..., Any]
"""A question to the scheduler, by name."""


class Watch:
    """Over the workers of a cluster; `on_replaced` is called when all of them are others."""

    def __init__(self, ask: Ask, patience: Patience, on_replaced: Callable[[], object]) -> None:
        self._ask, self._patience, self._on_replaced = ask, patience, on_replaced
        self._known = KnownWorkers()

    def begin(self) -> None:
        """A pass begins, with all of the patience that there is."""
        self._patience.begin()

    def threads(self, want: Callable[[], Future]) -> dict[str, int]:
        """Threads by worker; waits for the first worker to come.

        Cut for no workers at all, the rows would be one share: one worker would hold them all. A
        cluster that adapts to what there is to do starts none until a task is there for it, which
        `want` submits.
        """
        wanted: Future | None = None
        try:
            while not (threads := self._ask("ncores")):
                wanted = wanted or want()
                self._patience.check(())
                time.sleep(0.1)
        finally:
            if wanted is not None:
                wanted.release()
        self._all_replaced(threads)
        return dict(threads)

    def look(self) -> None:
        """Raise where nobody is left who will end the pass."""
        workers = self._ask("identity", n_workers=-1)["workers"]
        if self._all_replaced(workers):
            raise ConnectionError("all workers were lost at once and others have come")
        self._patience.check(workers.values())

    def _all_replaced(self, workers: dict[str, Any]) -> bool:
        replaced = self._known.replaced_by(workers)
        if replaced:
            self._on_replaced()
        return replaced


def result_of(task: Future, look: Callable[[], object]) -> Any:
    """What a task returns; looks around as long as it does not."""
    seconds = POLL_SECONDS
    while True:
        try:
            return task.result(timeout=seconds)
        except TimeoutError as problem:
            if task.status == "error":
                return task.result()  # which may be a TimeoutError of the task's own
            # It holds the frames that it went through, one of which holds it: with all that there
            # is in frames up to here, mixtures of this pass among them, until rings are looked for.
            problem.__traceback__ = None
            look()
            if task.done():
                seconds *= 2  # it is its way here that takes so long
        except UnboundLocalError:
            # How distributed's sync() ends when it is cancelled: a question for a result that
            # is given up takes the next one for it along.
            if task.status == "error":
                raise
            time.sleep(0.01)
