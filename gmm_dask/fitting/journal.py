"""What a running fit leaves in its run folder: history, checkpoints, and in the end a model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import isfinite, log
from types import TracebackType
from typing import Any

from gmm_dask.chunked.engines.protocol import PassReport
from gmm_dask.mixture.iteration import EMState
from gmm_dask.mixture.maximisation import Event
from gmm_dask.runs.folder import RunFolder
from gmm_dask.runs.state import decode_state, encode_state
from gmm_dask.store.errors import StorageError, StoreUnavailableError


@dataclass(frozen=True)
class Rhythm:
    """How often to write a checkpoint: every n-th iteration, but not more often than t seconds."""

    every: int = 1
    seconds: float = 0.0


EVERY_ITERATION = Rhythm()


TREND = 4
"""Changes from which the rate of convergence is taken."""


class Journal:
    """Keeps the newest few states of one run; however it is left, the last one is written."""

    def __init__(self, folder: RunFolder, rhythm: Rhythm) -> None:
        self.folder, self.rhythm = folder, rhythm
        self._writer = folder.writer()
        self._unsaved: EMState | None = None
        self._saved_at = float("-inf")

    def resume(self) -> EMState | None:
        """The newest state of an earlier driver; the history is cut to it."""
        checkpoint = self.folder.resume()
        if checkpoint is None:
            return None
        self._writer.recall(checkpoint)
        return decode_state(checkpoint.state, checkpoint.arrays)

    def keep(self, state: EMState, entry: dict[str, Any]) -> float | None:
        """Note an iteration, and write its checkpoint if it is time.

        Returns seconds since the newest checkpoint was made; None before the first.
        """
        with self._naming_the_last_good():
            self.folder.history.append(state.iteration, entry)
            self._unsaved = state
            waited = time.monotonic() - self._saved_at >= self.rhythm.seconds
            if state.finished or (waited and state.iteration % self.rhythm.every == 0):
                self._save()
        age = time.monotonic() - self._saved_at
        return age if isfinite(age) else None

    def _save(self) -> None:
        if self._unsaved is None:
            return
        content, arrays = encode_state(self._unsaved)
        self._writer.submit(self._unsaved.iteration, content, arrays)
        self._unsaved, self._saved_at = None, time.monotonic()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._naming_the_last_good(), self._writer:
            if not isinstance(error, StoreUnavailableError):  # waited for long enough already
                self._save()

    @contextmanager
    def _naming_the_last_good(self) -> Iterator[None]:
        """Where a disk is full or broken, the error says from which iteration a run will go on."""
        try:
            yield
        except StorageError as problem:
            if type(problem) is not StorageError:
                raise
            good: list[int] = []
            with suppress(StorageError, OSError):
                good = self.folder.view.iterations_kept
            text = f"the last good iteration is {good[-1]}" if good else "no iteration is kept yet"
            raise StorageError(f"{problem} In {self.folder}, {text}.") from problem.__cause__


def history_entry(
    state: EMState, costs: Sequence[PassReport], news: Sequence[Event] = ()
) -> dict[str, Any]:
    """What the history says of an iteration: the leading candidate, what its passes cost, and what
    there was to tell before it."""
    record = state.best.record
    entry: dict[str, Any] = {} if record is None else {**vars(record)}
    happened = (event for c in state.candidates if c.record for event in c.record.events)
    entry["events"] = [{**vars(event)} for event in (*news, *happened)]
    if record is not None and not isfinite(record.change):
        entry["change"] = None
    if state.best.log_prior:
        entry["objective"] = state.best.objective
    if state.best.mixture.noise is not None:
        entry["noise"] = state.best.mixture.noise.weight
    entry |= {"iteration": state.iteration, "passes": state.passes}
    if len(state.candidates) > 1:
        entry["candidates"] = [c.mean_log_likelihood for c in state.candidates]
    return entry | {
        "seconds": round(sum(cost.seconds for cost in costs), 6),
        "rows": sum(cost.rows for cost in costs),
        "bytes": sum(cost.bytes for cost in costs),
        "time": round(time.time(), 3),
    }


def iteration_line(entry: Mapping[str, Any]) -> str:
    """An entry of the history as one line for a person."""
    objective = f", objective {entry['objective']:.6f}" if "objective" in entry else ""
    change = "" if entry["change"] is None else f"{objective} ({entry['change']:+.2e})"
    noise = f", noise {entry['noise']:.2%}" if "noise" in entry else ""
    plain = "" if entry["step"] in ("plain", "start") else f", {entry['step']}"
    events = "".join(f"; {_what_happened(event)}" for event in entry["events"])
    rate = entry["rows"] / entry["seconds"] if entry["seconds"] else 0.0
    return (
        f"iteration {entry['iteration']}: mean log-likelihood {entry['mean_log_likelihood']:.6f}"
        f"{change}{plain}{noise}, {entry['seconds']:.2f} s, {rate / 1e6:.2f} M rows/s{events}"
    )


@dataclass(frozen=True)
class TimeLeft:
    """Until a fit ends: as changes go on shrinking, or at most, where they do not tell."""

    seconds: float
    at_most: bool

    def __str__(self) -> str:
        return f"{'at most' if self.at_most else 'about'} {span(self.seconds)}"


def span(seconds: float) -> str:
    """`45 s`, `12 min`, `3.4 h`, `2.1 days`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def time_left(
    entries: Sequence[Mapping[str, Any]], tol: float | None, most: int | None
) -> TimeLeft | None:
    """Until the tolerance is met, if changes go on shrinking as they did, or the cap is reached.

    EM converges linearly: each change is about the same fraction of the one before.
    """
    changes = [e["change"] for e in entries if e.get("change") and e["change"] > 0][-TREND:]
    per_pass = sum(e["seconds"] for e in entries[-TREND:]) / len(entries[-TREND:])
    capped = None if most is None else float(max(most - entries[-1]["iteration"], 0))
    if not tol or len(changes) < TREND or changes[-1] >= changes[0]:
        return None if capped is None else TimeLeft(capped * per_pass, at_most=True)
    shrinking = (log(changes[-1]) - log(changes[0])) / (TREND - 1)
    needed = max(0.0, (log(tol) - log(changes[-1])) / shrinking)
    if capped is not None and capped < needed:
        return TimeLeft(capped * per_pass, at_most=True)
    return TimeLeft(needed * per_pass, at_most=False)


def _what_happened(event: Mapping[str, Any]) -> str:
    """`component 3 collapsed`; what concerns no single component says it all in its reason."""
    if event["component"] is None:
        return str(event["reason"])
    return f"component {event['component']} {event['kind']}"
