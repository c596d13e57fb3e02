"""Read-ahead: in order, one block ahead, and no more memory than promised."""

import os
import resource
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from gmm_dask.chunked.engines.dask import DaskEngine
from gmm_dask.chunked.rows import DataError, Values, Weights, open_rows
from gmm_dask.chunked.sources.memory_source import MemorySource
from gmm_dask.chunked.stream import stream
from tests.chunked.conftest import local_cluster

VALUES = np.arange(300.0).reshape(100, 3)


class Watched(MemorySource):
    """Notes when and on which thread a block is read."""

    def read(self, first: int, last: int) -> Values:
        READS.append((first, threading.current_thread().name))
        time.sleep(0.02)
        return super().read(first, last)


READS: list[tuple[int, str]] = []


def watched() -> Any:
    READS.clear()
    rows = open_rows(VALUES, weights=np.arange(100), block_bytes=240)
    return replace(rows, source=Watched(VALUES, ("a", "b", "c")))


def test_blocks_come_in_order_with_their_place() -> None:
    placed = list(stream(watched(), 2, 7))
    assert [block.index for block in placed] == [2, 3, 4, 5, 6]
    assert [block.first_row for block in placed] == [20, 30, 40, 50, 60]
    np.testing.assert_array_equal(np.concatenate([b.table for b in placed]), VALUES[20:70])
    assert all(b.weights is not None and b.weights[0] == b.first_row for b in placed)


@pytest.mark.timed
def test_exactly_the_next_block_is_read_ahead() -> None:
    blocks = stream(watched())
    for count in (1, 2, 3):
        next(blocks)
        time.sleep(0.06)
        assert len(READS) == count + 1, "the present block and the next one, no more"
    blocks.close()
    assert {name.split("_")[0] for _, name in READS} == {"read-ahead"}


@pytest.mark.timed
def test_reading_hides_behind_computing() -> None:
    started = time.perf_counter()
    for _ in stream(watched()):
        time.sleep(0.02)
    assert time.perf_counter() - started < 0.8 * 10 * (0.02 + 0.02)


def test_no_thread_is_left_behind() -> None:
    for _ in stream(watched()):
        break
    readers = [t for t in threading.enumerate() if t.name.startswith("read-ahead")]
    for reader in readers:  # each ends with the read that it has begun
        reader.join(timeout=10)
    assert not any(reader.is_alive() for reader in readers)


def test_errors_of_reading_arrive_in_their_place(tmp_path: Path) -> None:
    array = zarr.create_array(str(tmp_path / "a.zarr"), shape=(40, 1), dtype="f8", chunks=(10, 1))
    array[:] = 1.0
    (tmp_path / "a.zarr" / "c" / "2" / "0").write_bytes(b"no")
    blocks = stream(open_rows(tmp_path / "a.zarr", block_bytes=80))
    assert [next(blocks).index, next(blocks).index] == [0, 1]
    with pytest.raises(DataError, match="chunk c/2/0"):
        next(blocks)


def total(table: Values, _w: Weights, _first: int, _value: int) -> tuple[int, int]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return len(table), peak


def larger(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    return left[0] + right[0], max(left[1], right[1])


def pid_and_peak() -> tuple[int, int]:
    return os.getpid(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_memory_keeps_to_the_formula_on_data_far_larger(tmp_path: Path) -> None:
    """2 GB of rows through a worker of 450 MB, with a bound on what reading adds."""
    block, count = 8_000_000, 250
    path = tmp_path / "large.zarr"
    shape = (count * 125_000, 8)
    array = zarr.create_array(str(path), shape=shape, dtype="f8", chunks=(125_000, 8))
    array[:125_000] = np.random.default_rng(0).integers(0, 4, (125_000, 8))
    for i in range(1, count):  # equal chunks as links to one file: large data on a small disk
        (path / "c" / str(i)).mkdir()
        os.link(path / "c" / "0" / "0", path / "c" / str(i) / "0")
    compressed = (path / "c" / "0" / "0").stat().st_size
    with local_cluster(1, memory_limit="450MB") as client:
        rows = open_rows(path)
        assert rows.nbytes >= 4 * 450e6
        engine = DaskEngine(client, rows)
        assert not engine.cached
        (before,) = client.run(pid_and_peak).values()
        counted, peak = engine.map_reduce(total, 0, combine=larger)
        (after,) = client.run(pid_and_peak).values()
    assert counted == shape[0]
    assert after[0] == before[0], "the worker was never restarted"
    # Beside the blocks: Zarr's threads and codecs, imported on the first read.
    assert peak - before[1] <= 3 * block + compressed + 60e6
    shutil.rmtree(path)
