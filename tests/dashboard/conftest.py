"""One cluster and one browser for all tests of this folder."""

from collections.abc import Iterator

import pytest
from distributed import Client

from gmm_dask.dashboard import Listener
from tests.dashboard.browser import Browser, browser
from tests.dashboard.running import cluster, overlapping


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> str:
    return overlapping(tmp_path_factory.mktemp("dashboard") / "rows.zarr", 20_000)


@pytest.fixture(scope="package")
def client() -> Iterator[Client]:
    with cluster() as client:
        yield client


@pytest.fixture
def listener(client: Client) -> Listener:
    """What the cluster's scheduler, which is in this process, has heard."""
    return client.cluster.scheduler.plugins[Listener.name]


@pytest.fixture(scope="package")
def window() -> Iterator[Browser]:
    with browser() as window:
        yield window
