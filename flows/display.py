"""What a person sees of a flow: its logs, a bar that moves, tables, pictures, links and events.

Knows Prefect's artifacts and events; knows nothing of how fits are carried out.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from io import BytesIO
from math import log
from typing import Any
from uuid import UUID, uuid4

from distributed import Client
from prefect import get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.runtime import flow_run

from flows.jobs import stem
from flows.news import stop_if_suspended, tell
from gmm_dask.chunked.engines.worker_logs import worker_logs_heard
from gmm_dask.fitting.journal import iteration_line
from gmm_dask.fitting.run_loop import Progress

LIBRARY = logging.getLogger("gmm_dask")
UPDATE_SECONDS = 1.0


# -- logs ---------------------------------------------------------------------------------------


class Relay(logging.Handler):
    """Hands records of the library on to the flow's log."""

    def __init__(self, target: Any) -> None:
        super().__init__()
        self.target = target

    def emit(self, record: logging.LogRecord) -> None:
        """One record, in the flow's own name."""
        self.target.log(record.levelno, "%s", record.getMessage())


@contextmanager
def library_heard() -> Iterator[None]:
    """What the library logs in this process is in the flow's log, and nowhere twice."""
    relay, propagated, level = Relay(get_run_logger()), LIBRARY.propagate, LIBRARY.level
    LIBRARY.addHandler(relay)
    LIBRARY.propagate = False
    LIBRARY.setLevel(logging.INFO)
    try:
        yield
    finally:
        LIBRARY.removeHandler(relay)
        LIBRARY.propagate, LIBRARY.level = propagated, level


@contextmanager
def workers_heard(client: Client | None, about: str) -> Iterator[None]:
    """The same for what it logs on workers; says where the Dask dashboard is, and of whose work."""
    if client is None:
        yield
        return
    show(
        create_link_artifact,
        "dashboard",
        about,
        f"Where the newest work on {about} is seen while it lasts",
        link=client.dashboard_link,
        link_text="Dask dashboard",
    )
    logger = get_run_logger()
    with worker_logs_heard(client, str(flow_run.id or uuid4()), lambda *word: logger.log(*word)):
        yield


# -- progress -----------------------------------------------------------------------------------


class Bar:
    """A progress artifact, there from its first move on, moved once a second at most."""

    def __init__(self, about: str, description: str) -> None:
        self._what = {"key": key_of("progress", about), "description": description}
        self._id: UUID | None = None
        self._moved = float("-inf")

    def move(self, percent: float) -> None:
        """To so much of a hundred; never called done before it is."""
        if time.monotonic() - self._moved >= UPDATE_SECONDS:
            self._show(min(round(percent, 1), 99.0))
            self._moved = time.monotonic()

    def finish(self) -> None:
        """All of it, if any."""
        if self._moved > float("-inf"):
            self._show(100.0)

    def _show(self, percent: float) -> None:
        """Soon; what was to be shown before, and was not yet, is not shown."""
        tell(lambda: self._draw(percent), about=self)

    def _draw(self, percent: float) -> None:
        if self._id is None:
            made: Any = create_progress_artifact(progress=percent, **self._what)
            self._id = made if isinstance(made, UUID) else made.id
        else:
            update_progress_artifact(self._id, progress=percent)


def iterations_told(bar: Bar, tol: float | None, max_iter: int) -> Callable[[Progress], None]:
    """A callback of fits: one line in the log and a move of the bar per iteration; ends the fit
    where its run was suspended."""
    logger = get_run_logger()
    first: list[float] = []

    def tell(progress: Progress) -> None:
        logger.info(iteration_line(progress.entry))
        change = progress.entry.get("change")
        if change and change > 0 and not first:
            first.append(change)
        bar.move(100 * share_done(progress.entry, first[0] if first else None, tol, max_iter))
        stop_if_suspended()

    return tell


def share_done(
    entry: Mapping[str, Any], first: float | None, tol: float | None, max_iter: int
) -> float:
    """How far it is: of all iterations there may be, or of the way from the first change down to
    the tolerance, on a log scale, whichever is more."""
    of_iterations = entry["iteration"] / max(max_iter, 1)
    change = entry.get("change")
    if not (first and tol and change and change > 0 and first > tol):
        return min(of_iterations, 1.0)
    of_change = log(first / change) / log(first / tol)
    return min(max(of_iterations, of_change, 0.0), 1.0)


# -- results ------------------------------------------------------------------------------------


def picture(draw: Callable[[Any], Any], width: float, height: float, about: str) -> str:
    """A drawing as markdown that needs no other file; a sentence where it cannot be drawn."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return "*No picture: it needs matplotlib (`pip install 'gmm-dask[report]'`).*"
    figure = Figure(figsize=(width, height), layout="constrained")
    draw(figure)
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=90)
    return f"![{about}](data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()})"


def show(
    create: Callable[..., object], what: str, about: str, description: str, **content: Any
) -> None:
    """An artifact, as soon as the server takes it, on the page of `what` about a place."""
    tell(partial(create, key=key_of(what, about), description=description, **content))


def key_of(what: str, about: str) -> str:
    """`fit-blobs-3fa2c1`: artifacts of one key are one page, so each place has its own."""
    digest = hashlib.sha256(about.encode()).hexdigest()[:6]
    return f"{what}-{stem(about).lower().replace('_', '-')}-{digest}"


def tell_event(name: str, about: str, **facts: Any) -> None:
    """An event that automations can act on, such as `gmm_dask.fit.finished`."""
    resource = {"prefect.resource.id": f"gmm_dask.{about}", "prefect.resource.name": about}
    emit = partial(emit_event, event=name, resource=resource, payload=facts)
    tell(partial(copy_context().run, emit))  # Prefect sends it later, in the context of now


def tag_run(*tags: str) -> None:
    """Add tags to this flow run, by which it is found again."""
    if flow_run.id is not None:
        tell(partial(_tag, UUID(flow_run.id), tags))


def _tag(run: UUID, tags: Iterable[str]) -> None:
    with get_client(sync_client=True) as client:
        client.update_flow_run(run, tags={*client.read_flow_run(run).tags, *tags})
