"""Every kind of source gives the rows that were stored, and says so in the same words."""

import json
import pickle
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import xarray
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from zarr.storage import MemoryStore, ZipStore

from gmm_dask.chunked.rows import Rows, open_rows
from tests.chunked.conftest import store

Values = NDArray[Any]
VALUES = np.random.default_rng(1).normal(size=(103, 4))


def everything(rows: Rows) -> Values:
    return np.concatenate([rows.read(i)[0] for i in range(len(rows))])


def zarr_v2(path: Path) -> object:
    return store(path / "v2.zarr", VALUES, chunks=(10, 3), zarr_format=2)


def zarr_v3(path: Path) -> object:
    return store(path / "v3.zarr", VALUES, chunks=(10, 3))


def sharded(path: Path) -> object:
    return store(path / "sharded.zarr", VALUES, chunks=(5, 2), shards=(20, 4))


def uncompressed(path: Path) -> object:
    return store(path / "raw.zarr", VALUES, chunks=(10, 4), compressors=None)


def zipped(path: Path) -> object:
    with ZipStore(path / "rows.zip", mode="w") as target:
        array = zarr.create_array(target, shape=VALUES.shape, dtype="f8", chunks=(10, 4))
        array[:] = VALUES
    return path / "rows.zip"


def opened(path: Path) -> object:
    return zarr.open_array(str(zarr_v3(path)), mode="r")


def in_memory_store(_: Path) -> object:
    array = zarr.create_array(MemoryStore(), shape=VALUES.shape, dtype="f8", chunks=(10, 4))
    array[:] = VALUES
    return array


def numpy_array(_: Path) -> object:
    return VALUES.copy()


def fortran(_: Path) -> object:
    return np.asfortranarray(VALUES)


def memmap(path: Path) -> object:
    np.concatenate([np.zeros(3), VALUES.ravel()]).tofile(path / "rows.bin")
    return np.memmap(path / "rows.bin", dtype="f8", mode="r", offset=24, shape=VALUES.shape)


def part_of_memmap(path: Path) -> object:
    wide = np.zeros((110, 8))
    wide[4:107, 1::2] = VALUES
    wide.tofile(path / "wide.bin")
    return np.memmap(path / "wide.bin", dtype="f8", mode="r", shape=wide.shape)[4:107, 1::2]


def npy(path: Path) -> object:
    np.save(path / "rows.npy", VALUES)
    return str(path / "rows.npy")


def dask_array(_: Path) -> object:
    return dask.array.from_array(VALUES, chunks=((0, 7, 50, 0, 46), (3, 1)))


def dask_unknown(_: Path) -> object:
    array = dask.array.from_array(VALUES, chunks=(25, 4))
    return array[dask.array.ones(103, chunks=25, dtype=bool)]


def data_array(_: Path) -> object:
    return xarray.DataArray(VALUES, dims=("row", "feature"))


def chunked_data_array(_: Path) -> object:
    return xarray.DataArray(VALUES, dims=("row", "feature")).chunk({"row": 30})


def dataset(_: Path) -> object:
    return xarray.Dataset({f"x{j}": ("row", VALUES[:, j]) for j in range(4)})


def mixed_dataset(_: Path) -> object:
    made = xarray.Dataset({f"x{j}": ("row", VALUES[:, j]) for j in range(4)})
    made["x1"] = made["x1"].chunk({"row": 40})
    return made


def nested_list(_: Path) -> object:
    return VALUES.tolist()


KINDS: list[Callable[[Path], object]] = [
    zarr_v2,
    zarr_v3,
    sharded,
    uncompressed,
    zipped,
    opened,
    in_memory_store,
    numpy_array,
    fortran,
    memmap,
    part_of_memmap,
    npy,
    dask_array,
    dask_unknown,
    data_array,
    chunked_data_array,
    dataset,
    mixed_dataset,
    nested_list,
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_rows(kind: Callable[[Path], object], tmp_path: Path) -> None:
    rows = open_rows(kind(tmp_path), block_bytes=800)
    assert rows.shape == (103, 4)
    assert rows.feature_names == ("x0", "x1", "x2", "x3")
    assert len(rows) > 1
    np.testing.assert_array_equal(everything(rows), VALUES)
    for i, (first, last) in enumerate(rows.blocks):
        block, weights = rows.read(i)
        assert block.shape == (last - first, 4)
        assert block.flags.c_contiguous
        assert weights is None
    json.dumps(rows.fingerprint())


@pytest.mark.parametrize("kind", KINDS)
def test_features_rows_and_weights_are_chosen_alike(
    kind: Callable[[Path], object], tmp_path: Path
) -> None:
    heights = np.arange(103, dtype="i4")
    rows = open_rows(
        kind(tmp_path), features=["x3", 1], rows=slice(5, 98), weights=heights, block_bytes=300
    )
    assert rows.feature_names == ("x3", "x1")
    assert rows.blocks[0][0] == 5
    assert rows.blocks[-1][1] == 98
    np.testing.assert_array_equal(everything(rows), VALUES[5:98][:, [3, 1]])
    held = [rows.read(i)[1] for i in range(len(rows))]
    assert all(one is not None and one.dtype == np.float64 for one in held)
    np.testing.assert_array_equal(np.concatenate(held), np.arange(5.0, 98.0))  # type: ignore[arg-type]


LAZY = (dask_array, dask_unknown, chunked_data_array, mixed_dataset)
"""Their blocks are inputs of tasks; no share of them is read by a worker."""


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in LAZY])
def test_shares_pickle_small_and_read_alike(kind: Callable[[Path], object], tmp_path: Path) -> None:
    rows = open_rows(kind(tmp_path), block_bytes=800)
    assert not rows.lazy
    content = pickle.dumps(rows.share(1, 3))
    assert len(content) < 6000
    share = pickle.loads(content)
    assert share.blocks == rows.blocks[1:3]
    for i in range(2):
        np.testing.assert_array_equal(share.read(i)[0], rows.read(i + 1)[0])


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f8", ">f4", "i1", ">i2", "u8", "i8"])
@pytest.mark.parametrize("kind", ["zarr", "numpy", "memmap", "dask"])
def test_numbers_come_as_they_are_stored(dtype: str, kind: str, tmp_path: Path) -> None:
    values = (VALUES * 9).astype(np.dtype(dtype).newbyteorder("=")).astype(dtype)
    values.tofile(tmp_path / "rows.bin")
    source = {
        "numpy": lambda: values,
        "zarr": lambda: store(tmp_path / "rows.zarr", values, chunks=(10, 4)),
        "memmap": lambda: np.memmap(tmp_path / "rows.bin", dtype, mode="r", shape=values.shape),
        "dask": lambda: dask.array.from_array(values, chunks=(10, 4)),
    }[kind]()
    rows = open_rows(source)
    read = everything(rows)
    assert rows.dtype == read.dtype == np.dtype(dtype).newbyteorder("=")
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, values)


def test_columns_of_a_group_become_features(tmp_path: Path) -> None:
    group = zarr.create_group(str(tmp_path / "group.zarr"))
    for name, chunk, dtype in (("height", 10, "f4"), ("mass", 25, "i4"), ("w", 50, "f8")):
        array = group.create_array(name, shape=(103,), chunks=(chunk,), dtype=dtype)
        array[:] = np.arange(103)
    rows = open_rows(
        tmp_path / "group.zarr", columns=["mass", "height"], weights="w", block_bytes=400
    )
    assert rows.feature_names == ("mass", "height")
    assert rows.dtype == np.float64  # what holds an i4 and an f4
    assert {b % 50 for _, b in rows.blocks[:-1]} == {0}  # where both columns' chunks end
    np.testing.assert_array_equal(everything(rows), np.repeat(np.arange(103.0), 2).reshape(-1, 2))
    one = open_rows(tmp_path / "group.zarr", array="height")
    assert one.shape == (103, 1)
    assert one.feature_names == ("height",)
    assert open_rows(group, array="mass").shape == (103, 1)


def test_names_come_with_the_data(tmp_path: Path) -> None:
    path = store(tmp_path / "rows.zarr", VALUES, chunks=(10, 4))
    zarr.open_array(path).attrs["feature_names"] = ["a", "b", "c", "d"]
    assert open_rows(path).feature_names == ("a", "b", "c", "d")
    labelled = xarray.DataArray(VALUES, dims=("row", "f"), coords={"f": list("abcd")})
    assert open_rows(labelled).feature_names == ("a", "b", "c", "d")


def test_a_dataset_still_on_disk_is_not_read_here(tmp_path: Path) -> None:
    made = xarray.Dataset({"a": ("row", VALUES[:, 0]), "b": ("row", VALUES[:, 1])})
    made.to_zarr(tmp_path / "set.zarr", consolidated=False)
    with xarray.open_zarr(tmp_path / "set.zarr", chunks=None, consolidated=False) as lazily:
        rows = open_rows(lazily, columns=["a", "b"])
        assert rows.lazy
        np.testing.assert_array_equal(everything(rows), VALUES[:, :2])


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 40),
    st.integers(1, 5),
    st.integers(1, 60),
    st.integers(0, 60),
    st.integers(1, 90),
)
def test_any_chunking_reads_the_same(
    height: int, width: int, target: int, first: int, count: int
) -> None:
    array = zarr.create_array(MemoryStore(), shape=(103, 5), chunks=(height, width), dtype="i4")
    array[:] = np.arange(103 * 5).reshape(103, 5)
    from gmm_dask.chunked.sources.plan import plan_cuts
    from gmm_dask.chunked.sources.zarr_source import open_array

    source = open_array(array, "here").select([4, 0, 2])
    last = min(103, first + count)
    cuts = plan_cuts(
        first,
        last,
        source.layouts(),
        row_bytes=24,
        target_bytes=24 * target,
        largest_bytes=10**6,
    )
    read = np.concatenate([source.read(a, b) for a, b in pairwise(cuts)])
    np.testing.assert_array_equal(read, np.arange(103 * 5).reshape(103, 5)[first:last, [4, 0, 2]])


def test_fingerprints_tell_data_apart(tmp_path: Path) -> None:
    path = store(tmp_path / "rows.zarr", VALUES, chunks=(10, 4))
    other = VALUES.copy()
    other[50, 2] += 1e-12
    prints = [
        open_rows(path).fingerprint(),
        open_rows(path, features=[0, 1]).fingerprint(),
        open_rows(path, rows=slice(0, 50)).fingerprint(),
        open_rows(path, block_bytes=800).fingerprint(),
        open_rows(path, weights=np.ones(103)).fingerprint(),
        open_rows(VALUES).fingerprint(),
        open_rows(other).fingerprint(),
    ]
    texts = [json.dumps(one, sort_keys=True) for one in prints]
    assert len(set(texts)) == len(texts)
    assert open_rows(path).fingerprint() == prints[0]
    assert open_rows(VALUES.copy()).fingerprint() == prints[5]
