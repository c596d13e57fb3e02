"""What the tasks of a pass took, by phase and by worker, as the scheduler sees them end.

Knows keys and times of tasks; sends nothing: the scheduler hears of every task anyway.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

LABEL = re.compile(r"(?P<name>[a-z]+(?:-[a-z]+)*)-(?P<run>[0-9a-f]{8})(?:-.*)?")
"""How the engine names tasks: `sweep-<run>-it3`."""
MERGE, LOAD, PARAMETERS = "merge", "load-rows", "parameters"
MOST_RUNS = 64

PHASES = ("read", "kernel", "merge", "wait", "M-step", "checkpoint")
"""Where the seconds of an iteration go: waiting for blocks to be read; computing them; from the
last share to the sum; the rest of the pass (scheduling, transfers, threads without work); and the
driver's own: the M-step, and writing."""


def run_of(key: Any) -> str | None:
    """The run that a task belongs to; None of other people's."""
    label = LABEL.fullmatch(str(key[0] if isinstance(key, tuple) else key))
    return None if label is None else label["run"]


@dataclass
class WorkerLoads:
    """Of the tasks of one pass; in seconds of worker threads, but for the two moments."""

    read: float = 0.0
    kernel: float = 0.0
    swept_at: float = 0.0
    merged_at: float = 0.0
    workers: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, name: str, worker: str, began: float, ended: float, waited: float) -> None:
        """One task that has ended."""
        if name == PARAMETERS:
            return
        if name == MERGE:
            self.merged_at = max(self.merged_at, ended)
            return
        read = ended - began if name == LOAD else min(waited, ended - began)
        self.read += read
        self.kernel += ended - began - read
        self.swept_at = max(self.swept_at, ended)
        self.workers[worker] += ended - began

    def phases(self, seconds: float, threads: int) -> dict[str, float]:
        """The pass's seconds by phase: what threads did, divided by their number."""
        at_once = max(1, threads)
        read, kernel = self.read / at_once, self.kernel / at_once
        merge = max(0.0, self.merged_at - self.swept_at) if self.swept_at else 0.0
        wait = max(0.0, seconds - read - kernel - merge)
        return {"read": read, "kernel": kernel, "merge": merge, "wait": wait}


class Passes:
    """The work of passes under way, by the run that they belong to."""

    def __init__(self) -> None:
        self._under_way: OrderedDict[str, WorkerLoads] = OrderedDict()
        self._ended: OrderedDict[str, float] = OrderedDict()

    def add(
        self,
        key: Any,
        worker: str,
        startstops: Iterable[Mapping[str, Any]],
        metadata: Mapping[str, Any] | None,
    ) -> None:
        """A task that has ended; other people's are not counted."""
        label = LABEL.fullmatch(key[0] if isinstance(key, tuple) else key)
        if label is None:
            return
        work = self._of(label["run"])
        self._ended[label["run"]] = time.time()
        self._ended.move_to_end(label["run"])
        if len(self._ended) > MOST_RUNS:
            self._ended.popitem(last=False)
        waited = float((metadata or {}).get("waited", 0.0))
        for part in startstops:
            if part["action"] == "compute":
                work.add(label["name"], worker, part["start"], part["stop"], waited)

    def ended_since(self, moment: float) -> set[str | None]:
        """Runs of which tasks have ended since then."""
        return {run for run, ended in self._ended.items() if ended >= moment}

    def _of(self, run: str) -> WorkerLoads:
        if run not in self._under_way:
            self._under_way[run] = WorkerLoads()
            while len(self._under_way) > MOST_RUNS:
                self._under_way.popitem(last=False)
        return self._under_way[run]

    def take(self, run: str) -> WorkerLoads:
        """All of a run's since this was last asked."""
        return self._under_way.pop(run, WorkerLoads())
