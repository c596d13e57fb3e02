"""News on their way to Prefect's server, carried by a thread of their own: no fit waits for them.

Knows when the server answers, and that a run is alive whose heartbeats did not reach it; knows
nothing of what is told.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.exceptions import Pause
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Cancelled, Running
from prefect.utilities.engine import is_prefect_sigterm_handler_installed

from flows.retries import causes

LOOK_SECONDS = 5.0
"""How often a run makes sure that it is not taken for dead; a third of the time after which
automations start a crashed one again."""
CANCELLED_BY_OTHERS = 25.0
"""Seconds in which whoever started a run ends it once it is cancelled: a runner asks at once, and
a second signal would strike the run while it leaves its checkpoint."""
ANSWERS_WITHIN = 10.0
AGAIN_SECONDS = 2.0
TOLD_EVERY = 300.0
MOST = 100
"""What waits to be told at most: then the oldest is not told at all."""
PATIENCE = 24 * 3600.0
"""Seconds in which a run that has ended waits for a server to say so."""
PATIENCE_WITH_OWN = 60.0
"""The same for the temporary server of a run by hand, which does not come back."""

_NEWS: ContextVar[News | None] = ContextVar("news", default=None)


def tell(say: Callable[[], object], about: Hashable = None) -> None:
    """Have it said soon, in order; of what is about one thing, only the newest."""
    news = _NEWS.get()
    if news is None:
        say()
    else:
        news.add(object() if about is None else about, say)


def stop_if_suspended() -> None:
    """End where somebody has suspended this run: resumed, it goes on from its checkpoint."""
    news = _NEWS.get()
    if news is not None and news.suspended is not None:
        raise Pause(state=news.suspended)


@contextmanager
def all_told() -> Iterator[None]:
    """What is said inside is told, at the latest before this ends, as soon as the server answers.

    Whoever ends it by a signal meanwhile loses nothing: all of it comes of what is in the run
    folder, and the next run of that folder publishes it.
    """
    news = News(flow_run.id, get_run_logger())
    token = _NEWS.set(news)
    with ending_as_cancelled(news):
        try:
            try:
                yield
            except Exception:
                news.wait()  # also a failure is told by way of the server
                raise
            except Pause:
                tell_of_suspension()
                raise
            news.wait()
        finally:
            _NEWS.reset(token)
            news.end()


@contextmanager
def ending_as_cancelled(news: News) -> Iterator[None]:
    """To Prefect any SIGTERM but its runner's is a crash, which would start again."""
    try:
        yield
    except BaseException as ended:
        if news.cancelled is None:
            raise
        raise Pause(CANCELLED, state=news.cancelled) from ended


def tell_of_suspension() -> None:
    """After the heartbeats of the run, so that automations do not take it for dead."""
    run = f"prefect.flow-run.{flow_run.id}"
    emit_event("gmm_dask.run.suspended", {"prefect.resource.id": run})


class News:
    """What waits to be told, and the thread that tells it."""

    def __init__(self, run: str | None, logger: Any) -> None:
        self._run, self._logger = run, logger
        self._waiting: dict[Hashable, tuple[Context, Callable[[], object]]] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._silent_since: float | None = None
        self.suspended: State | None = None
        self.cancelled: State | None = None
        self._cancelling_since: float | None = None
        self._looked = time.monotonic()
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._carry,), name="news", daemon=True
        )
        self._thread.start()

    def add(self, about: Hashable, say: Callable[[], object]) -> None:
        """At the end of the queue, or in the place of older news about the same."""
        with self._changed:
            self._waiting[about] = copy_context(), say
            while len(self._waiting) > MOST:
                del self._waiting[next(iter(self._waiting))]
            self._changed.notify_all()

    def wait(self) -> None:
        """Until all is told; only what has ended already waits here."""
        began, warned = time.monotonic(), float("-inf")
        patience = PATIENCE if PREFECT_API_URL.value() else PATIENCE_WITH_OWN
        with self._changed:
            while self._waiting or self._silent_since is not None:
                now = time.monotonic()
                if now - began > patience:
                    self._logger.error("%s: no longer waiting for Prefect's server", LEFT)
                    return
                if self._silent_since is not None and now - warned > TOLD_EVERY:
                    self._logger.warning("%s; waiting for Prefect's server to tell it", LEFT)
                    warned = now
                self._changed.wait(1.0)

    def end(self) -> None:
        """No more of it."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join(ANSWERS_WITHIN)

    # -- the thread -----------------------------------------------------------------------------

    def _carry(self) -> None:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            while not self._ended:
                try:
                    self._look()
                    self._tell_all()
                    self._heard()
                except Exception as problem:
                    self._unheard(problem)

    def _look(self) -> None:
        """A server that was away for longer than heartbeats may be takes living runs for dead."""
        if self._run is None or not (self._silent_since or self._is_time()):
            return
        self._looked = time.monotonic()
        try:
            self._stay_alive(UUID(self._run))
        except Exception as problem:
            if unheard(problem):
                raise
            self._logger.debug("no look at this run: %s", problem)  # removed by somebody, say

    def _stay_alive(self, run: UUID) -> None:
        with get_client(httpx_settings={"timeout": ANSWERS_WITHIN}, sync_client=True) as client:
            state = client.read_flow_run(run).state
            if state is not None and state.name == "Suspended":
                self.suspended = state
            if state is not None and state.is_crashed() and not self._ended:
                self._logger.warning("taken for dead, but alive: %s", state.message)
                client.set_flow_run_state(run, Running(message=ALIVE), force=True)
            if self._has_to_end_itself(state):
                self._end_itself(client, run)

    def _has_to_end_itself(self, state: State | None) -> bool:
        """A runner that has missed the server for minutes never learns of what is cancelled, and
        a run by hand has none."""
        if state is None or not state.is_cancelling():
            self._cancelling_since = None
            return False
        self._cancelling_since = self._cancelling_since or time.monotonic()
        waited = time.monotonic() - self._cancelling_since
        return waited >= CANCELLED_BY_OTHERS and is_prefect_sigterm_handler_installed()

    def _end_itself(self, client: SyncPrefectClient, run: UUID) -> None:
        """Said first: a run that is Cancelled nobody takes for dead, however its process ends."""
        self._logger.warning("cancelled, and nobody has ended this run: it ends itself")
        said: State | None = client.set_flow_run_state(
            run, Cancelled(message=CANCELLED), force=True
        ).state
        with self._changed:
            if said is not None and said.is_cancelled() and not self._ended:
                self.cancelled = said
                os.kill(os.getpid(), signal.SIGTERM)

    def _is_time(self) -> bool:
        return time.monotonic() - self._looked >= LOOK_SECONDS

    def _tell_all(self) -> None:
        while (first := self._first()) is not None:
            about, said = first
            context, say = said
            try:
                context.run(quickly, say)
            except Exception as problem:
                if unheard(problem):
                    raise
                self._logger.warning("Prefect's server was not told: %s", problem)
            self._told(about, said)

    def _first(self) -> tuple[Hashable, tuple[Context, Callable[[], object]]] | None:
        """What waits longest."""
        with self._changed:
            return None if self._ended else next(iter(self._waiting.items()), None)

    def _told(self, about: Hashable, said: tuple[Context, Callable[[], object]]) -> None:
        """It is, but where there are newer ones."""
        with self._changed:
            if self._waiting.get(about) is said:
                del self._waiting[about]
            self._changed.notify_all()

    def _heard(self) -> None:
        if self._silent_since is not None:
            away = time.monotonic() - self._silent_since
            self._logger.info("Prefect's server answers again, after %.0f s", away)
        with self._changed:
            self._silent_since = None
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._ended, LOOK_SECONDS)

    def _unheard(self, problem: Exception) -> None:
        if self._silent_since is None:
            self._logger.warning("Prefect's server does not answer, the run goes on: %s", problem)
        with self._changed:
            self._silent_since = self._silent_since or time.monotonic()
            self._changed.wait_for(lambda: self._ended, AGAIN_SECONDS)


LEFT = "all that was found is in its folder, and started again this run would only publish it"
CANCELLED = "It was cancelled, nobody ended it, and it has done so itself"
ALIVE = "It was cut off from the server, and goes on"


def quickly(say: Callable[[], object]) -> None:
    """Once: who calls tries again."""
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        say()


def unheard(error: BaseException) -> bool:
    """True where the server did not answer, or was in no state to."""
    return any(
        isinstance(one, httpx.TransportError | OSError)
        or (isinstance(one, httpx.HTTPStatusError) and one.response.status_code >= 500)
        for one in causes(error)
    )
