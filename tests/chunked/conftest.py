"""Real clusters of real processes, started once for all tests of this folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import zarr
from distributed import Client, LocalCluster
from numpy.typing import NDArray

from gmm_dask.clusters.dask_settings import cluster_settings


@contextmanager
def local_cluster(workers: int, threads: int = 1, **options: Any) -> Iterator[Client]:
    with (
        dask.config.set({**cluster_settings(), **options.pop("settings", {})}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            processes=options.pop("processes", True),
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            **options,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """Two workers of one thread."""
    with local_cluster(2) as client:
        yield client


@pytest.fixture
def table() -> NDArray[np.float64]:
    """1,003 rows of 3 features, whose sums depend on the order of addition."""
    generator = np.random.default_rng(7)
    return generator.normal(size=(1003, 3)) * 10.0 ** generator.integers(-6, 6, size=(1003, 1))


@pytest.fixture
def stored(tmp_path: Path, table: NDArray[np.float64]) -> str:
    """The table as a Zarr array in chunks of 50 rows."""
    return store(tmp_path / "rows.zarr", table, chunks=(50, 3))


def store(path: Path, values: NDArray[Any], **layout: Any) -> str:
    """A Zarr array in a folder, with every chunk written."""
    array = zarr.create_array(
        str(path),
        shape=values.shape,
        dtype=values.dtype,
        config={"write_empty_chunks": True},
        **layout,
    )
    array[...] = values
    return str(path)
