"""One digest, whatever the fit runs on, and however its rows are held."""

from typing import Any

import pytest

from tests.faults.cluster import cluster_of, scaled
from tests.faults.fits import digest, fitted


def test_this_process(stored: str, undisturbed: str) -> None:
    for cache in ("memory", "none"):
        assert digest(fitted(stored, cache=cache)) == undisturbed


@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_workers(stored: str, undisturbed: str, threads: int) -> None:
    caches: tuple[Any, ...] = ("memory", "none")
    with cluster_of(8, threads) as client:
        for workers in (8, 3, 2, 1):
            scaled(client, workers)
            for cache in caches:
                found = fitted(stored, client=client, cache=cache)
                assert digest(found) == undisturbed, (workers, threads, cache)
