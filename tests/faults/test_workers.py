"""Workers are killed, hang, run out of memory, come and go: no bit of the result changes."""

import os
from random import Random
from typing import Any

import pytest
from distributed import Client

from gmm_dask.fitting.run_loop import Progress
from tests.faults.cluster import MENDED, SEED, Schedule, Strike, cluster_of, scaled, striking
from tests.faults.conftest import RECOVERIES, WORKERS
from tests.faults.fits import SWEEPS, digest, fitted, recovery

SCHEDULES = int(os.environ.get("GMM_DASK_FAULT_SCHEDULES", "1"))
TASKS = 12
SLOWEST = 60.0
"""Seconds that a recovery may take on a busy machine; the table at the end has what it took."""


def disturbed(
    client: Client, stored: str, schedule: Schedule, cache: Any, small_tasks: bool = True
) -> str:
    """The digest of a fit with faults; how long it took to recover is noted."""
    with striking(client, schedule):
        found = fitted(stored, small_tasks=small_tasks, client=client, cache=cache)
    for strike in schedule.strikes:
        seconds = recovery(found, strike.sweep)
        RECOVERIES.append((f"{strike.fault} ({cache})", seconds))
        assert seconds < SLOWEST, strike
    return digest(found)


@pytest.mark.parametrize(
    ("faults", "cache"),
    [
        (("one killed", "one killed"), "memory"),
        (("one killed", "one killed"), "none"),
        (("all but one killed",), "memory"),
        (("all killed",), "memory"),
        (("all killed",), "none"),
        (("one hung",), "memory"),
        (("one over its memory",), "none"),
    ],
    ids=lambda value: value if isinstance(value, str) else ", ".join(value),
)
def test_faults_change_no_bit(
    cluster: Client, stored: str, undisturbed: str, faults: tuple[str, ...], cache: str
) -> None:
    schedule = Schedule.drawn(SEED, faults, sweeps=SWEEPS, tasks=TASKS)
    assert disturbed(cluster, stored, schedule, cache) == undisturbed, schedule


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_a_fault_among_large_tasks_changes_no_bit(
    cluster: Client, stored: str, undisturbed: str, cache: str
) -> None:
    schedule = Schedule(SEED, (Strike(4, 1, "one killed"), Strike(8, 2, "all killed")))
    assert disturbed(cluster, stored, schedule, cache, small_tasks=False) == undisturbed


@pytest.mark.parametrize("seed", range(SEED, SEED + SCHEDULES))
def test_random_faults_change_no_bit(
    cluster: Client, stored: str, undisturbed: str, seed: int
) -> None:
    draw = Random(seed)
    quick = [fault for fault in MENDED if fault != "one hung"]
    schedule = Schedule.drawn(seed, draw.choices(quick, k=2), sweeps=SWEEPS, tasks=TASKS)
    cache = draw.choice(["memory", "none"])
    assert disturbed(cluster, stored, schedule, cache) == undisturbed, schedule


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_workers_come_and_go(cluster: Client, stored: str, undisturbed: str, cache: str) -> None:
    """One comes while passes go on and takes part; two leave in the middle of sweeps."""
    first = set(cluster.nthreads())

    def tell(progress: Progress) -> None:
        if progress.state.iteration == 1:
            cluster.cluster.scale(WORKERS + 1)
        elif progress.state.iteration == 3:
            cluster.wait_for_workers(WORKERS + 1, timeout=60)
        elif progress.state.iteration == 8:
            scaled(cluster, WORKERS)

    schedule = Schedule.drawn(SEED, ("one leaves", "one leaves"), sweeps=4, tasks=TASKS)
    moved = tuple(type(s)(s.sweep + 4, s.after, s.fault) for s in schedule.strikes)
    with striking(cluster, Schedule(SEED, moved)) as striker:
        found = fitted(stored, client=cluster, cache=cache, callbacks=[tell])
    assert digest(found) == undisturbed
    assert striker.workers[4] - first, "the one that came took part"


def test_a_fit_grows_with_its_cluster(stored: str, undisturbed: str) -> None:
    """Begun before any worker has come; shares are cut anew when there are more by far."""

    def tell(progress: Progress) -> None:
        if progress.state.iteration == 5:
            scaled(client, 4)

    with cluster_of(0, memory_limit="600MB") as client, striking(client, Schedule(0, ())) as seen:
        client.cluster.scale(1)
        found = fitted(stored, client=client, callbacks=[tell])
    assert digest(found) == undisturbed
    assert len(seen.workers[5]) == 1
    assert 8 <= seen.ended[5] <= 16
    assert len(seen.workers[7]) == 4
    assert seen.ended[7] >= 32
