"""Where the rows of a fit are: cut into shares, loaded where they are to stay, dealt to threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from distributed import Client, Future

from gmm_dask.chunked.engines import tasks
from gmm_dask.chunked.engines.keys import Labels
from gmm_dask.chunked.engines.shares import Dealt, Runs, cut, deal, least_seconds
from gmm_dask.chunked.engines.submission import submit_each, submit_over_inputs
from gmm_dask.chunked.rows import Rows


class Placement:
    """Of rows on one cluster; made anew where workers are lost, or there are far more of them."""

    def __init__(
        self,
        client: Client,
        rows: Rows,
        label: Labels,
        *,
        cached: bool,
        tasks_per_thread: int | None = None,
    ) -> None:
        self.shares: Runs = []
        self.dealt: list[Dealt] = []
        self.loads: list[Future] = []
        self.cached = cached
        self.by_block = rows.lazy and not cached
        self._client, self._rows, self._label = client, rows, label
        self._tasks_per_thread = tasks_per_thread
        self._threads = self._cut_for = 0

    def place(self, workers: Mapping[str, int], each: int | None) -> None:
        """Deal all shares to these workers, of so many threads; `each` tasks a thread at most."""
        threads = [address for address, n in sorted(workers.items()) for _ in range(n)]
        self._threads = len(threads)
        held = self._is_held()
        if not held or self._threads >= 2 * self._cut_for:
            self._cut_for = self._threads
            shares = cut(len(self._rows), self._threads, self._tasks_per_thread, self.by_block)
            if not held or len(shares) > len(self.shares):
                self._hold(shares, threads)
        self.dealt = deal(len(self.shares), threads, None if self.by_block else each)

    def _is_held(self) -> bool:
        """Whether all rows are in workers' memory, or on their way there."""
        ways = [load.status in ("pending", "finished") for load in self.loads]
        return bool(ways) and all(ways)

    def _hold(self, shares: Runs, threads: Sequence[str]) -> None:
        self.shares = shares
        if self.cached:
            self.loads = self._load(threads)

    def _load(self, threads: Sequence[str]) -> list[Future]:
        label = self._label("load-rows", None)
        if self._rows.lazy:
            inputs = (((label, i), (parts,)) for i, parts in enumerate(self.inputs()))
            return submit_over_inputs(self._client, tasks.hold, inputs)
        dealt = deal(len(self.shares), threads)
        loads = (((label, d.first), (self.share(d),)) for d in dealt)
        return submit_each(self._client, tasks.load, loads, (d.place for d in dealt))

    def forget(self) -> None:
        """Let go of what workers hold."""
        self.loads = []

    def share(self, dealt: Dealt) -> tasks.Share:
        """The rows of a task that reads them itself."""
        first, last = self.shares[dealt.first][0], self.shares[dealt.last - 1][1]
        own = self._rows.share(first, last)
        common = (own.source, own.weights) == (self._rows.source, self._rows.weights)
        return tasks.Share.of(own, self._whole if common else tasks.without_blocks(own))

    @cached_property
    def _whole(self) -> tasks.Packed[Rows]:
        return tasks.without_blocks(self._rows)

    def inputs(self) -> list[list[Any]]:
        """Per share, its blocks as delayed objects: inputs of tasks, never here."""
        blocks = tasks.delayed_blocks(self._rows)
        return [blocks[first:last] for first, last in self.shares]

    def threads_worth(self, seconds: float) -> int:
        """How many threads would be worth their cost in a pass that took so long on these."""
        work = seconds * min(self._threads, len(self.dealt))
        return min(len(self._rows), int(work / least_seconds(self.cached)))

    def suspects(self, made: Iterable[Future]) -> Runs:
        """Shares of which a task of these, or the one that loads them, has failed.

        A worker takes down whatever waits on it: the innocent are marked along.
        """
        marked = {task.key[1] for task in self.loads if _failed_share(task)}
        for task in filter(_failed_share, made):
            marked.update(self._shares_of(task.key[1]))
        return [self.shares[i] for i in sorted(marked)]

    def _shares_of(self, first: int) -> range:
        """The shares of the task that begins with this one."""
        ends = (dealt.last for dealt in self.dealt if dealt.first == first)
        return range(first, next(ends, first + 1))


def _failed_share(task: Future) -> bool:
    """Tasks of one share have keys of two parts, merges of three."""
    return task.status == "error" and isinstance(task.key, tuple) and len(task.key) == 2
