"""One Prefect server on PostgreSQL, with a worker, for all tests of flows."""

from collections.abc import Iterator

import pytest

from tests.flows.asking import Asking
from tests.flows.servers import Platform, platform


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("platform")) as there, there.worker():
        yield there


@pytest.fixture
def asking(served: Platform) -> Iterator[Asking]:
    with Asking.of(served) as asking:
        yield asking
