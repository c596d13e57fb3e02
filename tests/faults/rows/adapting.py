"""Row 40: clusters whose workers come when there is something to do, and go when there is not."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client

from gmm_dask.fitting.run_loop import Progress
from tests.faults.cluster import cluster_of, until
from tests.faults.fits import digest, fitted
from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.ground import MEMORY, Ground, ground
from tests.faults.rows.workers import dawdling

MOST = 4
READING = 0.2
"""Seconds at the most that a block is waited for: a pass of one worker takes four."""
GROWN_WITHIN, GONE_WITHIN = 30.0, 30.0
"""Seconds; Dask looks every second, and lets a worker go that it could do without three times."""


def adapted(scale: Scale, seed: int) -> Outcome:  # noqa: ARG001 - nothing is drawn
    """From no worker at all to none, as often as there are fits."""
    outcome = Outcome()
    with ground() as made, adaptive() as client:
        for number in range(5 if scale == "full" else 1):
            with outcome.trying(f"fit {number}"):
                _one_fit(outcome, made, client, f"fit {number}")
    return outcome


@contextmanager
def adaptive() -> Iterator[Client]:
    """A cluster that has no worker as long as there is nothing to do."""
    with cluster_of(0, memory_limit=MEMORY) as client:
        client.cluster.adapt(minimum=0, maximum=MOST)
        yield client


def _one_fit(outcome: Outcome, made: Ground, client: Client, what: str) -> None:
    grown: list[float] = []
    began = time.monotonic()

    def tell(_: Progress) -> None:
        if not grown and len(client.nthreads()) == MOST:
            grown.append(time.monotonic() - began)

    rows = dawdling(made.stored, READING)
    found = fitted(rows, small_tasks=False, client=client, cache="none", callbacks=[tell])
    assert digest(found) == made.undisturbed, "another digest"
    ended = time.monotonic()
    until(lambda: not client.nthreads())
    assert grown, "it never had all workers"
    outcome.recovered(grown[0], bar=GROWN_WITHIN, after=f"{what}, growing")
    gone = time.monotonic() - ended
    outcome.recovered(gone, bar=GONE_WITHIN, after=f"{what}, shrinking")
    outcome.figures[f"{what}: all workers"] = f"after {grown[0]:.1f} s, none {gone:.1f} s after it"
