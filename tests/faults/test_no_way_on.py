"""Where no worker can go on, a fit ends in a typed error and never hangs; then it is resumed."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import dask
import numpy as np
import pytest
from distributed import Client

from gmm_dask.chunked.engines.faults import BlocksKilledWorkers, ClusterError
from gmm_dask.chunked.rows import Rows, Values, open_rows
from gmm_dask.chunked.sources.memory_source import MemorySource
from gmm_dask.fitting.run_loop import Progress
from tests.faults.cluster import (
    BALLAST,
    SEED,
    Schedule,
    Strike,
    cluster_of,
    empty,
    fill,
    striking,
    whole,
)
from tests.faults.conftest import RECOVERIES
from tests.faults.fits import BLOCK_BYTES, BLOCK_ROWS, FEATURES, digest, fitted

TIMEOUT = 4.0
NO_WORKERS = {"distributed.scheduler.no-workers-timeout": f"{TIMEOUT:.0f}s"}


@contextmanager
def error_in_time(told: str) -> Iterator[Callable[[], None]]:
    """A ClusterError within the timeout + 10 s from when the yielded function is called."""
    marks: list[float] = []
    with dask.config.set(NO_WORKERS), pytest.raises(ClusterError, match=told):
        yield lambda: marks.append(time.monotonic())
    seconds = time.monotonic() - marks[0]
    RECOVERIES.append((f"{told}, by an error, with a timeout of {TIMEOUT:.0f} s,", seconds))
    assert seconds < TIMEOUT + 10


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_all_workers_lost_for_good(
    stored: str, undisturbed: str, tmp_path: Path, cache: str
) -> None:
    schedule = Schedule(SEED, (Strike(4, 2, "all lost"),))

    def tell(progress: Progress) -> None:
        if progress.state.iteration == 3:
            started()

    with (
        cluster_of(2, settings=NO_WORKERS) as client,
        error_in_time("none connected") as started,
        striking(client, schedule),
    ):
        fitted(stored, client=client, cache=cache, run=tmp_path / "run", callbacks=[tell])
    assert digest(fitted(stored, run=tmp_path / "run", client=None)) == undisturbed


def test_all_workers_paused(cluster: Client, stored: str, undisturbed: str, tmp_path: Path) -> None:
    """At 80 % of their memory for good: an error; let go of it, and the run goes on."""

    def tell(progress: Progress) -> None:
        if progress.state.iteration == 3:
            cluster.run(fill, 0.87)
            started()

    with error_in_time("3 paused") as started:
        fitted(stored, client=cluster, cache="memory", run=tmp_path / "run", callbacks=[tell])
    cluster.run(empty)
    assert digest(fitted(stored, client=cluster, run=tmp_path / "run")) == undisturbed


def test_workers_paused_for_a_while(cluster: Client, stored: str, undisturbed: str) -> None:
    """Within the timeout nothing happens but waiting."""

    def tell(progress: Progress) -> None:
        if progress.state.iteration == 3:
            cluster.run(fill, 0.87)
            cluster.loop.call_later(2, lambda: cluster.run(empty))

    found = fitted(stored, client=cluster, cache="none", callbacks=[tell])
    assert digest(found) == undisturbed


LIMIT = 500_000_000


@dataclass(frozen=True, eq=False)
class Greedy(MemorySource):
    """Rows of which one block takes more memory to read than a worker may use."""

    greedy_row: int = 20 * BLOCK_ROWS

    def read(self, first: int, last: int) -> Values:
        if first <= self.greedy_row < last:
            BALLAST.append(np.ones(2 * LIMIT, dtype=np.uint8))
            time.sleep(60)  # until the nanny looks, and kills
        return super().read(first, last)


def greedy_rows() -> Rows:
    values = np.random.default_rng(0).normal(size=(41 * BLOCK_ROWS, FEATURES))
    rows = open_rows(values, block_bytes=BLOCK_BYTES)
    return replace(rows, source=Greedy(values, tuple("abcd")))


def test_a_block_that_kills_its_workers_is_named(tmp_path: Path) -> None:
    settings = {"distributed.scheduler.allowed-failures": 1}
    started = time.monotonic()
    with cluster_of(2, memory_limit=LIMIT, settings=settings) as client:
        with pytest.raises(BlocksKilledWorkers, match="give workers more memory") as caught:
            fitted(greedy_rows(), client=client, cache="none", run=tmp_path / "run")
        whole(client, 2)
    RECOVERIES.append(("a block that kills its workers, by an error,", time.monotonic() - started))
    named = re.findall(r"\(rows (\d+)–(\d+)\)", str(caught.value))
    assert any(int(first) <= Greedy.greedy_row <= int(last) for first, last in named)
    assert len(named) <= 8, "the innocent are few"
