"""Row 9: no worker can go on, for good: an error of a known type, and in time."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
from distributed import Client

from gmm_dask.chunked.engines.faults import ClusterError
from gmm_dask.fitting.run_loop import Progress
from tests.faults.cluster import Schedule, Strike, cluster_of, empty, fill, striking
from tests.faults.fits import digest, fitted
from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.ground import MEMORY, Ground, ground

TIMEOUT = 4.0
BAR = TIMEOUT + 10
SETTINGS = {"distributed.scheduler.no-workers-timeout": f"{TIMEOUT:.0f}s"}
STEP = 3

Disturbed = Callable[[Ground, Client, str, Path], float]


def left(scale: Scale, seed: int) -> Outcome:
    """All workers lost in a sweep, and all paused between two; then the run is resumed."""
    times = 5 if scale == "full" else 1
    outcome = Outcome()
    kinds: dict[str, Disturbed] = {"all lost": _lost(seed), "all paused": _paused}
    with ground() as made, dask.config.set(SETTINGS):
        for turn in range(times):
            for cache in ("memory", "none"):
                for name, disturbed in kinds.items():
                    run = made.folder / f"{name}-{cache}-{turn}".replace(" ", "-")
                    with outcome.trying(f"{name}, {cache}, turn {turn}"):
                        with cluster_of(2, settings=SETTINGS, memory_limit=MEMORY) as client:
                            seconds = disturbed(made, client, cache, run)
                        outcome.recovered(seconds, bar=BAR, after=f"{name}, {cache}")
                        # not before the cluster is gone: without workers it is no place to go on
                        assert digest(fitted(made.stored, run=run)) == made.undisturbed
    outcome.figures["timeout"] = f"{TIMEOUT:.0f} s; the worst recovery is the time to the error"
    return outcome


def _lost(seed: int) -> Disturbed:
    def disturbed(made: Ground, client: Client, cache: str, run: Path) -> float:
        with striking(client, Schedule(seed, (Strike(STEP + 1, 2, "all lost"),))):
            return _seconds_to_error(made, client, cache, run, lambda: None)

    return disturbed


def _paused(made: Ground, client: Client, cache: str, run: Path) -> float:
    try:
        return _seconds_to_error(made, client, cache, run, lambda: client.run(fill, 0.87))
    finally:
        client.run(empty)


def _seconds_to_error(
    made: Ground, client: Client, cache: Any, run: Path, strike: Callable[[], object]
) -> float:
    marks: list[float] = []

    def tell(progress: Progress) -> None:
        if progress.state.iteration == STEP:
            strike()
            marks.append(time.monotonic())

    try:
        fitted(made.stored, client=client, cache=cache, run=run, callbacks=[tell])
    except ClusterError as problem:
        if "no worker has been running" not in str(problem):
            raise
        return time.monotonic() - marks[0]
    raise AssertionError("the fit came to its end without workers")
