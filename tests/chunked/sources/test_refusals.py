"""What cannot be fitted is refused before any work, in one sentence that says what to do."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import xarray
import zarr

from gmm_dask.chunked.rows import DataError, open_rows
from tests.chunked.conftest import store

GOOD = np.ones((10, 2))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.ones((3, 2), complex), "complex128.*real and imaginary parts"),
        (np.ones((3, 2), bool), "bool.*int8 or float32"),
        (np.ones((3, 2), object), "object.*numeric dtype"),
        (np.array([["a", "b"]]), "encode it as numbers"),
        (np.array([[b"a", b"b"]]), "encode it as numbers"),
        (np.zeros((3, 2), "M8[s]"), "dates to numbers"),
        (np.zeros((3, 2), "m8[s]"), "durations to numbers"),
        (np.zeros(3, "f8,f8"), "fields as separate columns"),
        (np.zeros((3, 2), np.longdouble), "float64"),
        (np.float64(3), "0 dimensions"),
        (np.ones((3, 2, 2)), "3 dimensions"),
        (np.ones((0, 2)), "0 rows × 2 features"),
        (np.ones((3, 0)), "3 rows × 0 features"),
        (np.ma.masked_array(GOOD, GOOD > 5), "masked"),
        (dask.array.ones((3, 2, 2)), "3 dimensions"),
        (dask.array.ones((3, 2), dtype=complex), "complex128"),
        (dask.array.ones((0, 2)), "0 rows"),
        (xarray.DataArray(np.ones((3, 2), complex)), "complex128"),
        ("/no/such/store.zarr", "nothing is stored at /no/such/store.zarr"),
        ("s3://user:secret@bucket/rows.zarr", "user or password"),
        ("s3://bucket/rows.zarr?token=secret", "carries a query"),
        ({"a": 1}, "dict holds object"),
    ],
)
def test_what_is_refused(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_rows(source)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["c16", "bool", "M8[ns]", "U3"])
def test_zarr_arrays_that_are_no_numbers(dtype: str, tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "a.zarr"), shape=(4, 2), dtype=dtype, zarr_format=2)
    with pytest.raises(DataError, match=r"a\.zarr holds"):
        open_rows(tmp_path / "a.zarr")


def test_a_group_needs_a_choice(tmp_path: Path) -> None:
    group = zarr.create_group(str(tmp_path / "g.zarr"))
    for name, shape in (("b", (5,)), ("a", (4,)), ("wide", (5, 2))):
        group.create_array(name, shape=shape, dtype="f8")
    path = tmp_path / "g.zarr"
    with pytest.raises(DataError, match=r"pass array= .* its arrays are a, b, wide"):
        open_rows(path)
    with pytest.raises(DataError, match="no array 'z'; its arrays are a, b, wide"):
        open_rows(path, array="z")
    with pytest.raises(DataError, match="differ in length: a has 4, b has 5"):
        open_rows(path, columns=["a", "b"])
    with pytest.raises(DataError, match="wide has 2 columns"):
        open_rows(path, columns=["b", "wide"])
    with pytest.raises(DataError, match="no columns were named"):
        open_rows(path, columns=[])
    with pytest.raises(DataError, match="either array= or columns="):
        open_rows(path, columns=["a"], array="a")
    with pytest.raises(DataError, match=r"weights .*g\.zarr/a have 4 entries"):
        open_rows(path, array="wide", weights="a")
    with pytest.raises(DataError, match=r"weights .* 2 columns"):
        open_rows(path, array="b", weights="wide")


def test_an_empty_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no Zarr array or group at"):
        open_rows(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": ["x7"]}, "no feature 'x7'; it has x0, x1"),
        ({"features": [2]}, "no feature 2; it has 0 to 1"),
        ({"features": []}, "at least one"),
        ({"features": [0, "x0"]}, "each once"),
        ({"rows": slice(0, 10, 2)}, "step 2"),
        ({"rows": slice(7, 7)}, "selects nothing"),
        ({"rows": range(5, 11)}, "selects nothing"),
        ({"weights": np.ones(9)}, "9 entries .* 10 rows"),
        ({"weights": np.ones((10, 2))}, "2 columns"),
        ({"weights": np.ones(10, complex)}, "complex128"),
        ({"array": "a"}, "choose within a Zarr group"),
        ({"missing_chunks": "ignore"}, "error, fill"),
        ({"nonfinite": "drop"}, "error, skip"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_rows(GOOD, **options)


def test_a_variable_that_is_not_there() -> None:
    made = xarray.Dataset({"a": ("row", np.ones(3))})
    with pytest.raises(DataError, match="no variable 'b'; its variables are a"):
        open_rows(made, columns=["b"])


def test_a_memmap_whose_file_is_gone(tmp_path: Path) -> None:
    GOOD.tofile(tmp_path / "rows.bin")
    rows = open_rows(np.memmap(tmp_path / "rows.bin", "f8", mode="r", shape=GOOD.shape))
    (tmp_path / "rows.bin").unlink()
    with pytest.raises(DataError, match="same file under the same path"):
        rows.read(0)


def test_nobody_needs_xarray(tmp_path: Path) -> None:
    path = store(tmp_path / "rows.zarr", GOOD, chunks=(5, 2))
    code = (
        "import sys; sys.modules['xarray'] = None; "
        f"from gmm_dask.chunked.rows import open_rows; open_rows({path!r}).read(0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
