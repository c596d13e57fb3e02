"""Chunks that are absent, truncated or corrupt are errors that name them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import ZipStore

from gmm_dask.chunked.engines.in_process import SerialEngine
from gmm_dask.chunked.profile import profile
from gmm_dask.chunked.rows import DataError, Rows, open_rows
from tests.chunked.conftest import store

VALUES = np.random.default_rng(1).normal(size=(100, 4))


def check(rows: Rows) -> None:
    profile(SerialEngine(rows, cache="none"), sample_rows=5, seed=0)


@pytest.mark.parametrize(
    ("layout", "key"),
    [
        ({"chunks": (10, 2)}, "c/3/1"),
        ({"chunks": (10, 2), "zarr_format": 2}, "3.1"),
        ({"chunks": (5, 2), "shards": (10, 2)}, "c/3/1"),
    ],
)
def test_an_absent_chunk_is_named(layout: dict[str, Any], key: str, tmp_path: Path) -> None:
    path = store(tmp_path / "rows.zarr", VALUES, **layout)
    check(open_rows(path))
    (tmp_path / "rows.zarr" / key).unlink()
    with pytest.raises(DataError, match=rf"rows\.zarr: chunk {key} is not in the store.*fill"):
        check(open_rows(path, block_bytes=800))
    check(open_rows(path, missing_chunks="fill"))
    check(open_rows(path, features=[0, 1]))  # the chunk holds other features
    check(open_rows(path, rows=slice(0, 30)))  # and other rows


def test_an_absent_chunk_inside_a_shard_is_named(tmp_path: Path) -> None:
    array = zarr.create_array(
        str(tmp_path / "rows.zarr"), shape=(95, 4), dtype="f8", chunks=(5, 2), shards=(20, 4)
    )
    array[:] = VALUES[:95]
    check(open_rows(tmp_path / "rows.zarr"))  # the last shard is ragged, and complete
    array[45:50, 2:] = 0  # as zarr does by itself: a chunk of nothing but fill is left out
    with pytest.raises(DataError, match=r"chunk c/2/0 \(inner chunk 1/1\) is not in the store"):
        check(open_rows(tmp_path / "rows.zarr"))


def test_an_array_made_longer_has_absent_chunks(tmp_path: Path) -> None:
    path = store(tmp_path / "rows.zarr", VALUES, chunks=(10, 4))
    zarr.open_array(path).resize((120, 4))
    with pytest.raises(DataError, match="chunk c/10/0 is not in the store"):
        check(open_rows(path))


def test_absent_in_a_zip_file_and_in_a_group(tmp_path: Path) -> None:
    with ZipStore(tmp_path / "rows.zip", mode="w") as target:
        array = zarr.create_group(target).create_array("a", shape=(9,), dtype="f8", chunks=(3,))
        array[:6] = 1.0
    with pytest.raises(DataError, match="chunk a/c/2 is not in the store"):
        check(open_rows(tmp_path / "rows.zip", array="a"))


def test_absent_weights_are_named(tmp_path: Path) -> None:
    path = store(tmp_path / "weights.zarr", np.ones(100), chunks=(10,))
    (tmp_path / "weights.zarr" / "c" / "4").unlink()
    with pytest.raises(DataError, match=r"weights\.zarr: chunk c/4 is not in the store"):
        check(open_rows(VALUES, weights=path))


@pytest.mark.parametrize("compressors", [None, "auto"])
@pytest.mark.parametrize("damage", ["truncated", "emptied", "garbage"])
def test_a_damaged_chunk_is_named(compressors: str | None, damage: str, tmp_path: Path) -> None:
    path = store(tmp_path / "rows.zarr", VALUES, chunks=(10, 4), compressors=compressors)
    chunk = tmp_path / "rows.zarr" / "c" / "6" / "0"
    content = chunk.read_bytes()
    damaged = {"truncated": content[:-9], "emptied": b"", "garbage": b"\x17" * 77}[damage]
    chunk.write_bytes(damaged)
    with pytest.raises(DataError, match=r"rows\.zarr: chunk c/6/0 is truncated or corrupt"):
        check(open_rows(path))


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    path = store(tmp_path / "rows.zarr", VALUES, chunks=(5, 4), shards=(20, 4))
    shard = tmp_path / "rows.zarr" / "c" / "2" / "0"
    shard.write_bytes(shard.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"rows\.zarr: chunk c/2/0 is truncated or corrupt"):
        check(open_rows(path))
