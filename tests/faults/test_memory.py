"""Data of four times a worker's memory, through a whole fit, within the bound of the stream."""

import os
import resource
import shutil
from pathlib import Path

import numpy as np
import zarr

from gmm_dask import Configuration, fit
from gmm_dask.chunked.rows import open_rows
from tests.faults.cluster import cluster_of

LIMIT = 550_000_000
ROWS, FEATURES, CHUNKS = 62_500, 16, 280
WORKING = 80_000_000
"""Of the computation, and of threads and codecs that the first read imports."""


def pid_and_peak() -> tuple[int, int]:
    return os.getpid(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def large_store(path: Path) -> int:
    """Equal chunks as links to one file: large data on a small disk; bytes of that file."""
    shape = (CHUNKS * ROWS, FEATURES)
    array = zarr.create_array(str(path), shape=shape, dtype="f8", chunks=(ROWS, FEATURES))
    array[:ROWS] = np.random.default_rng(0).integers(0, 4, (ROWS, FEATURES))
    for i in range(1, CHUNKS):
        (path / "c" / str(i)).mkdir()
        os.link(path / "c" / "0" / "0", path / "c" / str(i) / "0")
    return (path / "c" / "0" / "0").stat().st_size


def streamed(store: Path) -> tuple[int, int]:
    """By how much the worker's memory grew over a whole fit, and by how much it may."""
    compressed = large_store(store)
    block = ROWS * FEATURES * 8
    with cluster_of(1, memory_limit=LIMIT) as client:
        rows = open_rows(store)
        assert rows.nbytes >= 4 * LIMIT
        configuration = Configuration(2, "diag", tol=0, max_iter=1, sample_rows=2000)
        fit(rows.source.read(0, 1000), configuration, client=client)  # what it takes to be there
        (before,) = client.run(pid_and_peak).values()
        found = fit(rows, configuration, client=client)
        (after,) = client.run(pid_and_peak).values()
    assert found.statistics.rows == CHUNKS * ROWS
    assert after[0] == before[0], "the worker was never restarted"
    shutil.rmtree(store)
    return after[1] - before[1], 3 * block + compressed + WORKING


def test_a_whole_fit_of_data_that_no_worker_could_hold(tmp_path: Path) -> None:
    grown, bound = streamed(tmp_path / "large.zarr")
    assert grown <= bound
