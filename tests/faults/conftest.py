"""One store, the digest of its undisturbed fit, a cluster to strike, a table of recoveries."""

from collections.abc import Iterator

import pytest
from distributed import Client

from tests.faults.cluster import cluster_of, whole
from tests.faults.fits import digest, fitted, stored_rows

RECOVERIES: list[tuple[str, float]] = []
WORKERS = 3


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> str:
    return stored_rows(tmp_path_factory.mktemp("faults") / "rows.zarr")


@pytest.fixture(scope="session")
def undisturbed(stored: str) -> str:
    """The digest of a fit by the serial engine."""
    return digest(fitted(stored))


@pytest.fixture(scope="package")
def three_workers() -> Iterator[Client]:
    settings = {"distributed.scheduler.worker-ttl": "5s"}
    with cluster_of(WORKERS, memory_limit="600MB", settings=settings) as client:
        yield client


@pytest.fixture
def cluster(three_workers: Client) -> Client:
    """Three workers of one thread, whole again whatever the test before has done to them."""
    three_workers.cluster.scale(WORKERS)
    whole(three_workers, WORKERS)
    return three_workers


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for fault, seconds in RECOVERIES:
        terminalreporter.write_line(f"recovered from {fault} in {seconds:.2f} s")
