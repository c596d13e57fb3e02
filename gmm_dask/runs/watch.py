"""Following a run from its folder, from any machine that sees it; the driver is not asked.

Knows the history and the mark of a finished run; knows nothing of terminals.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gmm_dask.runs.inspection import described
from gmm_dask.runs.view import RunView, look_at_run
from gmm_dask.store.errors import KeyMissingError
from gmm_dask.store.location import Location

SILENCE_SECONDS = 60.0
"""Without news for so long, and four times the last pass, the driver may be gone."""


@dataclass(frozen=True)
class Begun:
    """What the run is."""

    data: str
    configuration: Mapping[str, Any]


@dataclass(frozen=True)
class Iteration:
    """A new line of the history."""

    entry: Mapping[str, Any]


@dataclass(frozen=True)
class Silence:
    """No news for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Finished:
    """The result; nothing comes after it."""

    result: Mapping[str, Any]


RunEvent = Begun | Iteration | Silence | Finished


def watch(
    where: Location,
    *,
    every: float = 1.0,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> Iterator[RunEvent]:
    """All that has happened in a run and, as it comes, all that happens until it is finished."""
    run = _run_at(where)
    record = run.record
    yield Begun(described(record.fingerprint), record.configuration)
    newest, heard, warned = -1, clock(), False
    while True:
        finished = run.finished  # before the history, which is complete once it is there
        entries = run.history
        fresh = entries if _begun_again(entries, newest) else _after(entries, newest)
        for entry in fresh:
            newest, heard, warned = int(entry["iteration"]), float(entry["time"]), False
            yield Iteration(entry)
        if finished is not None:
            yield Finished(finished)
            return
        patience = max(SILENCE_SECONDS, 4 * entries[-1]["seconds"] if entries else 0.0)
        if clock() - heard > patience and not warned:
            warned = True
            yield Silence(clock() - heard)
        sleep(every)
        run = _run_at(where)


def _run_at(where: Location) -> RunView:
    run = look_at_run(where)
    if run is None:
        raise KeyMissingError(f"there is no run at {where}")
    return run


def _begun_again(entries: list[dict[str, Any]], newest: int) -> bool:
    """Whether a restart took the place of what was told."""
    return bool(entries) and int(entries[-1]["iteration"]) < newest


def _after(entries: list[dict[str, Any]], newest: int) -> list[dict[str, Any]]:
    return [entry for entry in entries if int(entry["iteration"]) > newest]
