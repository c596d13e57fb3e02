"""Who does what in a pass: neighbouring shares on one worker; where passes are short, several a
task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from gmm_dask.chunked import tree

Runs: TypeAlias = Sequence[tuple[int, int]]
"""Blocks [first, last), a share each."""

LEAST_SECONDS = 0.4
"""A task costs its worker and the scheduler two to five milliseconds each, which on few cores is
time of others' tasks: of passes below this, one a thread."""
STREAMED = 1.5
"""Times as long where a task reads its blocks: nothing is computed while it waits for the first."""


@dataclass(frozen=True)
class Dealt:
    """Shares [first, last) for one task, and the worker that it is meant for."""

    first: int
    last: int
    worker: str | None

    @property
    def place(self) -> dict[str, object]:
        """As Dask's client takes it: there, and elsewhere when it is gone."""
        if self.worker is None:
            return {}
        return {"workers": [self.worker], "allow_other_workers": True}


def cut(blocks: int, threads: int, tasks_per_thread: int | None, by_block: bool) -> Runs:
    """Shares for so many threads; where blocks are inputs of a task, which are all in memory at
    once, each block is one."""
    return tree.runs(blocks, 1) if by_block else tree.shares(blocks, threads, tasks_per_thread)


def deal(shares: int, threads: Sequence[str], each: int | None = None) -> list[Dealt]:
    """Shares in order over threads (named by their workers) evenly; a task for every share, or
    `each` for a thread at most."""
    dealt: list[Dealt] = []
    for thread, members in groupby(range(shares), lambda i: i * len(threads) // shares):
        own = list(members)
        tasks = min(each or len(own), len(own))
        for i in range(tasks):
            first, last = own[0] + i * len(own) // tasks, own[0] + (i + 1) * len(own) // tasks
            dealt.append(Dealt(first, last, threads[thread] if threads else None))
    return dealt


def tasks_for(seconds: float | None, cached: bool) -> int | None:
    """Tasks a thread in a pass that takes so long; None: as many as there are shares."""
    return None if seconds is None else max(1, int(seconds / least_seconds(cached)))


def least_seconds(cached: bool) -> float:
    """Seconds of a pass that a task is worth its cost for."""
    return LEAST_SECONDS * (1 if cached else STREAMED)
