"""What is told of a fit to whoever looks on: how it begins, each iteration, how it ends.

Knows states and what they cost; does not know who listens. One event per iteration, of a size that
does not grow with the rows, the chunks or the iterations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gmm_dask.chunked.engines.protocol import Engine
from gmm_dask.chunked.metrics.textfile import kept_by_environment
from gmm_dask.mixture.iteration import EMSettings, EMState
from gmm_dask.mixture.maximisation import DEGENERATE

TOLD = (
    "iteration",
    "passes",
    "mean_log_likelihood",
    "change",
    "step",
    "kernel",
    "components",
    "seconds",
    "rows",
    "bytes",
    "time",
)
"""What an event says of an iteration's line in the history."""

UNNAMED = "unnamed"
"""The model of fits without a run folder."""
ADDED = re.compile(r"(-\d{4}-\d\d-\d\d(-\d+)?|-[0-9a-f]{12}|/runs/[0-9a-f]{16})$")
"""What we end the name of a run with by ourselves: a date, a digest, a fit of a refitted model."""

MOST_WEIGHTS, MOST_EVENTS, MOST_PAST, LONGEST = 64, 20, 500, 500


@dataclass(frozen=True)
class Upkeep:
    """What an iteration took the driver beside its passes; seconds."""

    m_step: float
    checkpoint: float
    checkpoint_age: float | None
    """Since the newest checkpoint; None where there is none."""


@contextmanager
def telling(
    engine: Engine, run: str | None, settings: EMSettings, past: Sequence[Mapping[str, Any]] = ()
) -> Iterator[None]:
    """Tell that a fit begins, or goes on after `past`, and how it ends, whichever way it does."""
    rows = engine.rows
    engine.tell(
        "begin",
        name=run,
        model=model_of(run),
        source=rows.source.address,
        rows=rows.shape[0],
        features=rows.shape[1],
        tol=settings.stopping.tol,
        max_iter=settings.stopping.max_iter,
        past=[line_of(entry) for entry in past[-MOST_PAST:]],
    )
    try:
        yield
    except BaseException as problem:
        outcome = "failed" if isinstance(problem, Exception) else "interrupted"
        engine.tell("end", outcome=outcome, problem=_short(f"{type(problem).__name__}: {problem}"))
        raise
    engine.tell("end", outcome="finished", problem=None)


def tell_iteration(
    engine: Engine, state: EMState, entry: Mapping[str, Any], upkeep: Upkeep
) -> None:
    """Tell of an iteration: its line in the history, the mixture's weights, and the upkeep."""
    best = state.best
    engine.tell(
        "iteration",
        **line_of(entry),
        family=best.mixture.family,
        weights=best.mixture.weights[:MOST_WEIGHTS].tolist(),
        candidates=len(state.candidates),
        reason=best.reason if state.finished else None,
        m_step_seconds=upkeep.m_step,
        checkpoint_seconds=upkeep.checkpoint,
        checkpoint_age=upkeep.checkpoint_age,
    )


def tell_refit(
    engine: Engine, models: str, source: str, outcome: str, alarms: int | None = None
) -> None:
    """Tell what a refit has decided, and how many alarms of drift there were if it looked."""
    engine.tell("refit", model=models, source=source, outcome=outcome, alarms=alarms)


def note_refit(models: str, source: str, outcome: str) -> None:
    """The same of one that had nothing to compute, or could not: for the driver's own numbers."""
    hear = kept_by_environment()
    if hear is not None:
        facts = {"model": models, "source": source, "outcome": outcome, "alarms": None}
        hear({"event": "refit", "run": models, **facts})


def model_of(run: str | None) -> str:
    """What is fitted in a run, by the name that it has from one night to the next."""
    if run is None:
        return UNNAMED
    return ADDED.sub("", run.rstrip("/"))


def line_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the history, so far as it is told."""
    events = entry.get("events", ())
    sentences = [_short(_sentence(event)) for event in events[:MOST_EVENTS]]
    degenerate = sum(event["kind"] in DEGENERATE for event in events)
    return {
        **{name: entry.get(name) for name in TOLD},
        "events": sentences,
        "degenerate": degenerate,
    }


def _sentence(event: Mapping[str, Any]) -> str:
    who = "" if event["component"] is None else f"component {event['component']}: "
    return f"{who}{event['kind']}: {event['reason']}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
