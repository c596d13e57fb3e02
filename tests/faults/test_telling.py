"""What a person sees of a fit: events, the names of tasks, how many there are, what travels."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from distributed import Client, SchedulerPlugin

from gmm_dask import Fit
from gmm_dask.chunked.rows import open_rows
from gmm_dask.chunked.tree import shares
from tests.faults.cluster import watching
from tests.faults.conftest import WORKERS
from tests.faults.fits import BLOCK_BYTES, BLOCKS, SWEEPS, digest, fitted


@dataclass
class Seen(SchedulerPlugin):
    """Keys of tasks that have ended, by the names under which the dashboard shows them."""

    scheduler: Any
    name: str = "seen"
    prefixes: dict[str, set[Any]] = field(default_factory=lambda: defaultdict(set))
    groups: dict[str, set[Any]] = field(default_factory=lambda: defaultdict(set))

    def transition(self, key: Any, start: str, finish: str, *_: Any, **__: Any) -> None:
        if (start, finish) == ("processing", "memory"):
            task = self.scheduler.tasks[key]
            self.prefixes[task.prefix.name].add(key)
            self.groups[task.group.name].add(key)


def events(client: Client, run: str | None = None) -> list[dict[str, Any]]:
    told = [event for _, event in client.get_events("gmm-dask")]
    return [event for event in told if event["run"] == (run or told[-1]["run"])]


def incoming(dask_worker: Any) -> list[str]:
    return [str(key) for transfer in dask_worker.transfer_incoming_log for key in transfer["keys"]]


@pytest.fixture
def told(cluster: Client, stored: str) -> tuple[Fit, list[dict[str, Any]]]:
    found = fitted(stored, client=cluster, cache="memory")
    return found, events(cluster)


def test_one_event_per_pass_and_per_iteration(told: tuple[Fit, list[dict[str, Any]]]) -> None:
    found, said = told
    passes = [event for event in said if event["event"] == "pass"]
    assert [event["name"] for event in passes] == ["profile"] + SWEEPS * ["sweep"]
    assert [event["step"] for event in passes[1:]] == list(range(SWEEPS))
    assert all(event["attempts"] == 1 and event["cached"] for event in passes)
    iterations = [event for event in said if event["event"] == "iteration"]
    assert len(iterations) == SWEEPS == len(found.history)
    for event, entry in zip(iterations, found.history, strict=True):
        for name in ("iteration", "mean_log_likelihood", "change", "seconds", "rows"):
            assert event[name] == entry[name], name


def test_events_reach_subscribers(cluster: Client, stored: str) -> None:
    heard: list[int] = []

    def note(event: tuple[float, dict[str, Any]]) -> None:
        if event[1]["event"] == "iteration":
            heard.append(event[1]["iteration"])

    cluster.subscribe_topic("gmm-dask", note)
    fitted(stored, client=cluster)
    cluster.unsubscribe_topic("gmm-dask")
    assert heard == list(range(SWEEPS))


def iteration(group: str) -> int:
    """The iteration that a group of tasks is named after."""
    return int(group.split("-it")[1])


@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize("blocks", [BLOCKS, BLOCKS // 2 + 1])
def test_names_and_numbers_of_tasks(cluster: Client, stored: str, cache: str, blocks: int) -> None:
    """Tasks follow threads, eight for each, not the chunks; and where a pass was so short that
    they cost more than they do, the next has fewer. Small parameters are within them."""
    bytes_of_block = BLOCK_BYTES if blocks == BLOCKS else 2 * BLOCK_BYTES
    rows = open_rows(stored, block_bytes=bytes_of_block)
    assert len(rows) == blocks
    seen = Seen(cluster.cluster.scheduler)
    with watching(cluster, seen):
        fitted(rows, small_tasks=False, client=cluster, cache=cache)
    cut = len(shares(blocks, WORKERS))
    assert cut == min(blocks, 8 * WORKERS)
    wanted = {"profile": cut}
    if cache == "memory":
        wanted["load-rows"] = cut
    assert {name: len(seen.prefixes[name]) for name in wanted} == wanted
    assert set(seen.prefixes) == {*wanted, "sweep", "merge"}
    sweeps = [group for group in seen.groups if group.startswith("sweep")]
    assert sorted(map(iteration, sweeps)) == list(range(SWEEPS))
    first, *others = (len(seen.groups[group]) for group in sorted(sweeps, key=iteration))
    assert first == cut
    assert all(WORKERS <= many <= cut for many in others)
    assert min(others) < cut


def test_parameters_travel_once_per_worker_and_pass(
    cluster: Client, stored: str, undisturbed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gmm_dask.chunked.engines.graph.WITHIN_TASKS", 0)
    earlier = {worker: set(log) for worker, log in cluster.run(incoming).items()}
    found = fitted(stored, client=cluster, cache="none")
    assert digest(found) == undisturbed
    travels: Counter[str] = Counter()
    for worker, log in cluster.run(incoming).items():
        here = Counter(
            key  # logs are short, and forget what is at their beginning
            for key in log
            if key.startswith("parameters-") and key not in earlier.get(worker, ())
        )
        assert set(here.values()) <= {1}, "no worker was sent the same parameters twice"
        travels += here
    assert 0 < len(travels) <= 1 + SWEEPS, "a pass that one worker did alone needs no travel"
    assert max(travels.values()) <= WORKERS - 1, "one worker has them from the scheduler"
