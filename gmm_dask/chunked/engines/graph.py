"""The tasks of a pass: one for some shares each, and merges of what they give up to the root."""

from __future__ import annotations

from itertools import count
from typing import Generic, TypeAlias, TypeVar

from distributed import Client, Future

from gmm_dask.chunked.engines import tasks
from gmm_dask.chunked.engines.keys import Labels
from gmm_dask.chunked.engines.placement import Placement
from gmm_dask.chunked.engines.protocol import MapReduce
from gmm_dask.chunked.engines.submission import submit, submit_each, submit_over_inputs
from gmm_dask.chunked.tree import runs

T = TypeVar("T")
V = TypeVar("V")
Parameters: TypeAlias = tasks.Packed[V] | Future

MERGE_AT_ONCE, MERGED_BYTES = 16, 2**26
"""How many tasks' nodes are merged by one: fewer where parameters are large, for a node takes about
as much as they do, on its way, and twice that in hand; a task of many blocks has a few nodes."""
WITHIN_TASKS = 2**20
"""Bytes of parameters that go out within the tasks of a pass, of which short passes have few. More
than these are a task of their own, which each worker fetches once, and all tasks wait for."""


class Graph(Generic[V, T]):
    """Of one attempt at a pass; `made` is what has been submitted of it."""

    def __init__(
        self,
        client: Client,
        placement: Placement,
        work: MapReduce[V, T],
        label: Labels,
        step: int | None,
    ) -> None:
        self.made: list[Future] = []
        self._client, self._placement, self._work = client, placement, work
        self._label, self._step = label, step

    async def submit(self, value: tasks.Packed[V], name: str, verify: bool) -> Future:
        """The root of the tree. On the client's loop all of it is one message to the scheduler;
        from elsewhere the first task is sent at once, and the others 10 ms later."""
        parameters: Parameters[V] = value
        if len(value.data) * len(self._placement.dealt) > WITHIN_TASKS:
            key = self._label("parameters", self._step)
            parameters = submit(self._client, tasks.same, value, key=key)
            self.made.append(parameters)
        level = self._map(parameters, self._label(name, self._step), verify)
        self.made += level
        return self._merge(level, self._label("merge", self._step), at_once(len(value.data)))

    def cancel(self) -> None:
        """Nobody is left to want what is still running."""
        self._client.cancel(self.made, force=True)

    def _map(self, value: Parameters[V], label: str, verify: bool) -> list[Future]:
        placement, work = self._placement, self._work
        if placement.by_block:
            inputs = enumerate(placement.inputs())
            each = (((label, i), (work, [parts], value)) for i, parts in inputs)
            return submit_over_inputs(self._client, tasks.sweep_held, each)
        dealt = placement.dealt
        places = (d.place for d in dealt)
        if placement.cached:
            loads = placement.loads
            held = (((label, d.first), (work, loads[d.first : d.last], value)) for d in dealt)
            return submit_each(self._client, tasks.sweep_held, held, places)
        streamed = (((label, d.first), (work, placement.share(d), value, verify)) for d in dealt)
        return submit_each(self._client, tasks.sweep, streamed, places)

    def _merge(self, level: list[Future], label: str, together: int) -> Future:
        """Nodes side by side made into larger ones, until there is the root of the tree."""
        for height in count():
            groups = [level[a:b] for a, b in runs(len(level), together)]
            each = (((label, height, i), (self._work, group)) for i, group in enumerate(groups))
            merge = tasks.merge if len(groups) > 1 else tasks.total
            level = submit_each(self._client, merge, each)
            self.made += level
            if len(level) == 1:
                break
        return level[0]


def at_once(packed: int) -> int:
    """How many tasks' nodes to merge, of parameters that take so many bytes."""
    return max(2, min(MERGE_AT_ONCE, MERGED_BYTES // max(1, packed)))
