"""Row 8: a worker that is stopped, and one whose network falls silent for good or for a while.

The two hosts are network namespaces on a switch; a wire is cut by taking its port off the switch,
so that nothing is told to either side.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random

from gmm_dask.clusters.dask_settings import cluster_settings
from tests.deploy.hosts import Network, network_of
from tests.deploy.processes import BIN, Processes, processes_in, until
from tests.faults.cluster import Schedule, Strike, cluster_of, striking, whole
from tests.faults.fits import SWEEPS, digest, fitted, recovery
from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.ground import MEMORY, WORKERS, Ground, ground

TTL = 10
STOPPED_BAR = 2 * TTL + 10.0
CUT_BAR = 45.0
BLIP = 8.0
PASSES = 80
HERE, THERE = "10.79.0.1", "10.79.0.2"


def silenced(scale: Scale, seed: int) -> Outcome:
    """Stopped workers on a local cluster; then a cluster over two hosts, one of them cut off."""
    outcome, draw = Outcome(), Random(seed)
    with ground() as made:
        _stopped(outcome, made, seed, 3 if scale == "full" else 1)
        for turn in range(2 if scale == "full" else 1):
            for seconds in (None, BLIP):
                what = "silent for good" if seconds is None else f"silent for {seconds:.0f} s"
                after = draw.randrange(10, 25)
                with outcome.trying(f"{what}, after iteration {after}"):
                    folder = made.folder / f"{turn}-{what}".replace(" ", "-")
                    folder.mkdir()
                    wait, attempts = _cut_off(folder, made, after, seconds)
                    outcome.recovered(wait, bar=CUT_BAR, after=what)
                    waits = outcome.figures.setdefault(what, [])
                    assert isinstance(waits, list)
                    waits.append(f"{wait:.1f} s, {attempts} attempts")
    return outcome


def _stopped(outcome: Outcome, made: Ground, seed: int, times: int) -> None:
    settings = {"distributed.scheduler.worker-ttl": f"{TTL}s"}
    waits = []
    with cluster_of(WORKERS, memory_limit=MEMORY, settings=settings) as client:
        for turn in range(times):
            cache = ("memory", "none")[turn % 2]
            drawn = Schedule.drawn(seed + turn, ("one hung",), sweeps=SWEEPS, tasks=12)
            with outcome.trying(drawn):
                whole(client, WORKERS)
                with striking(client, drawn):
                    found = fitted(made.stored, client=client, cache=cache)
                strike: Strike = drawn.strikes[0]
                waits.append(recovery(found, strike.sweep))
                outcome.recovered(waits[-1], bar=STOPPED_BAR, after=f"{cache}, stopped")
                assert digest(found) == made.undisturbed, "other bits"
    outcome.figures[f"stopped, ttl {TTL} s"] = ", ".join(f"{wait:.1f} s" for wait in waits)


# -- two hosts ----------------------------------------------------------------------------------


@contextmanager
def two_hosts(folder: Path) -> Iterator[tuple[Processes, Network]]:
    """A scheduler and a worker on the first host, two workers on the second."""
    with processes_in(folder) as processes:
        network = network_of(processes, {"here": HERE, "there": THERE})
        told = folder / "scheduler.json"
        settings = dask_variables()
        common = ["--scheduler-file", told, "--no-dashboard"]
        first, second = network.hosts
        scheduler = [BIN / "dask", "scheduler", "--host", HERE, "--port", 0, *common]
        processes.start("scheduler", [*first.enter(), *scheduler], **settings)
        until(told.exists, lambda: processes.log("scheduler"))
        for name, host, address in (("a", first, HERE), ("b", second, THERE), ("c", second, THERE)):
            worker = [BIN / "dask", "worker", "--host", address, "--nthreads", 1, *common]
            limit = ["--memory-limit", "1GB"]
            processes.start(f"worker-{name}", [*host.enter(), *worker, *limit], **settings)
        yield processes, network


def dask_variables() -> dict[str, str]:
    """What a cluster of ours is set to, as environment variables."""
    return {
        f"DASK_{name.upper().replace('.', '__').replace('-', '_')}": str(value)
        for name, value in cluster_settings().items()
        if isinstance(value, str | int)
    }


def _cut_off(folder: Path, made: Ground, after: int, seconds: float | None) -> tuple[float, int]:
    """The longest wait between two iterations, and the most attempts of a pass."""
    told = folder / "told.jsonl"
    with two_hosts(folder) as (processes, network):
        first, second = network.hosts
        words = [sys.executable, "-m", "tests.faults.rows.silent_driver"]
        order = [folder / "scheduler.json", made.stored, told, PASSES]
        driver = processes.start("driver", [*first.enter(), *words, *order], **dask_variables())
        until(lambda: _told(told) >= after, lambda: processes.log("driver"))
        network.cut(second)
        if seconds is not None:
            time.sleep(seconds)
            network.heal(second)
        until(lambda: driver.poll() is not None, lambda: processes.log("driver"))
        assert driver.returncode == 0, processes.log("driver")[-2000:]
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert lines[-1]["digest"] == lines[-1]["undisturbed"], "other bits"
    times = [line["time"] for line in lines[:-1]]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return max(gaps), lines[-1]["attempts"]


def _told(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0
