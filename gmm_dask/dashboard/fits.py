"""What is known of each fit from what it told: bounded, however long it runs.

Knows the events of `gmm_dask.fitting.events`; knows neither Dask nor how anything is drawn.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmm_dask.fitting.journal import TREND, TimeLeft, time_left

MOST_LINES, MOST_HAPPENINGS, MOST_FITS, MOST_NAMES = 1_000, 100, 8, 8
TOGETHER_SECONDS = 5.0
RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Line:
    """One iteration."""

    iteration: int
    mean_log_likelihood: float
    change: float | None
    step: str
    components: int
    seconds: float
    rows: int
    bytes: int
    weights: NDArray[np.float32]
    phases: Mapping[str, float]

    @classmethod
    def of(cls, entry: Mapping[str, Any], phases: Mapping[str, float]) -> Line:
        """From an event."""
        return cls(
            int(entry["iteration"]),
            float(entry["mean_log_likelihood"]),
            None if entry["change"] is None else float(entry["change"]),
            str(entry["step"]),
            int(entry["components"]),
            float(entry["seconds"]),
            int(entry["rows"]),
            int(entry["bytes"]),
            np.asarray(entry.get("weights", ()), np.float32),
            phases,
        )

    def entry(self) -> dict[str, Any]:
        """As in the history, with the driver's own time."""
        seconds = max(self.seconds, sum(self.phases.values()))
        return {"iteration": self.iteration, "change": self.change, "seconds": seconds}

    @property
    def rows_per_second(self) -> float:
        """Of its passes."""
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Of its passes; bytes as they lie in memory."""
        return self.bytes / self.seconds if self.seconds else 0.0


class Load(NamedTuple):
    """What a worker had to do in a pass: seconds of each of its threads."""

    seconds: float
    threads: int


@dataclass
class Moved:
    """Workers that came, or left, one after another."""

    how: str
    names: list[str]
    when: float
    told: str = ""

    def line(self) -> str:
        """All of them, so far as they fit."""
        if len(self.names) == 1:
            return f"worker {self.names[0]} has {self.how}"
        more = len(self.names) - MOST_NAMES
        names = ", ".join(self.names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
        return f"{len(self.names)} workers have {self.how}: {names}"


@dataclass(eq=False)
class FollowedFit:
    """One fit: what it is, its iterations, and what has happened to it."""

    run: str
    client: str
    name: str
    source: str
    rows: int
    features: int
    tol: float | None
    max_iter: int | None
    begun: float = field(default_factory=time.time)
    outcome: str = RUNNING
    problem: str = ""
    family: str = ""
    candidates: int = 1
    degenerate: int = 0
    retries: int = 0
    lines: list[Line] = field(default_factory=list)
    happened: deque[tuple[float, str]] = field(
        default_factory=lambda: deque(maxlen=MOST_HAPPENINGS)
    )
    workers: Mapping[str, Load] = field(default_factory=dict)
    behind: tuple[str, ...] = ()
    """Fits whose tasks the workers have in hand, while this one's wait."""
    compiling: set[str] = field(default_factory=set)
    heard: float = field(default_factory=time.time)
    checkpointed: float | None = None
    version: int = 0
    _moved: Moved | None = None

    @classmethod
    def begin(cls, event: Mapping[str, Any]) -> FollowedFit:
        """From its first event; one that goes on tells what came before."""
        run, source = str(event["run"]), str(event["source"])
        name = event["name"] or f"{source} ({run})"
        tol = None if event["tol"] is None else float(event["tol"])
        fit = cls(
            run,
            str(event["client"]),
            name,
            source,
            int(event["rows"]),
            int(event["features"]),
            tol,
            event["max_iter"],
        )
        for entry in event["past"]:
            fit._add(entry, {})
        if fit.lines:
            fit.note(f"goes on after iteration {fit.lines[-1].iteration}")
        return fit

    def iterate(self, event: Mapping[str, Any], phases: Mapping[str, float]) -> None:
        """One more iteration; also of a driver that was taken for gone and has come back."""
        self.outcome = RUNNING
        self.compiling.clear()
        self._add(event, phases)
        self.family, self.candidates = str(event["family"]), int(event["candidates"])
        age = event["checkpoint_age"]
        self.checkpointed = None if age is None else self.heard - float(age)
        if event["reason"]:
            self.note(str(event["reason"]))

    def end(self, outcome: str, problem: str | None) -> None:
        """No more is to come."""
        self.outcome, self.problem, self.behind = outcome, problem or "", ()
        self.note(f"{outcome}: {problem}" if problem else outcome)

    def compiles(self, where: str, seconds: float | None) -> None:
        """A worker, or the driver, compiles its kernels, or has done so in so many seconds."""
        self.heard = time.time()
        if seconds is None:
            self.compiling.add(where)
        else:
            self.compiling.discard(where)
            self.note(f"{where} compiled kernels for {seconds:.0f} s (gmm-dask warm spares that)")

    def note(self, what: str, when: float | None = None) -> None:
        """Something that a person would want to know, whoever told it."""
        self.happened.append((when or time.time(), what))
        self.version += 1

    def move(self, worker: str, how: str) -> None:
        """A worker that came or left; those that do so at once are one line."""
        now = time.time()
        last = self._moved
        if last is not None and last.how == how and now - last.when < TOGETHER_SECONDS:
            last.names.append(worker)
            last.when = now
            if self.happened and self.happened[-1][1] == last.told:
                self.happened.pop()
        else:
            last = self._moved = Moved(how, [worker], now)
        last.told = last.line()
        self.note(last.told, now)

    @property
    def left(self) -> TimeLeft | None:
        """Until its end, so far as the newest iterations tell."""
        if not (self.running and self.lines):
            return None
        entries = [line.entry() for line in self.lines[-2 * TREND :]]
        return time_left(entries, self.tol, self.max_iter)

    @property
    def running(self) -> bool:
        """Whether more is to come, for all that is known."""
        return self.outcome == RUNNING

    @property
    def checkpoint_age(self) -> float | None:
        """Seconds; None without checkpoints."""
        return None if self.checkpointed is None else time.time() - self.checkpointed

    @property
    def news_age(self) -> float:
        """Seconds since it last told anything."""
        return time.time() - self.heard

    def _add(self, entry: Mapping[str, Any], phases: Mapping[str, float]) -> None:
        self.lines.append(Line.of(entry, phases))
        if len(self.lines) > MOST_LINES:
            # The older half is thinned: the whole way stays to be seen.
            self.lines[: MOST_LINES // 2] = self.lines[: MOST_LINES // 2 : 2]
        self.degenerate += int(entry["degenerate"])
        for event in entry["events"]:
            self.note(f"iteration {entry['iteration']}: {event}", entry["time"])
        self.version += 1


class Fits:
    """The newest few; those that have ended are forgotten first."""

    def __init__(self) -> None:
        self._by_run: dict[str, FollowedFit] = {}

    def begin(self, event: Mapping[str, Any]) -> FollowedFit:
        """A new fit; one of the same name goes on in its place."""
        fit = FollowedFit.begin(event)
        for run, other in list(self._by_run.items()):
            if other.name == fit.name:
                del self._by_run[run]
        self._by_run[fit.run] = fit
        while len(self._by_run) > MOST_FITS:
            oldest = min(self._by_run.values(), key=lambda fit: (fit.running, fit.begun))
            del self._by_run[oldest.run]
        return fit

    def get(self, run: str) -> FollowedFit | None:
        """The fit of this run, if it is known."""
        return self._by_run.get(run)

    def newest_first(self) -> list[FollowedFit]:
        """All that are known."""
        return sorted(self._by_run.values(), key=lambda fit: fit.begun, reverse=True)

    def running(self) -> Iterable[FollowedFit]:
        """Those that have not ended."""
        return [fit for fit in self._by_run.values() if fit.running]
