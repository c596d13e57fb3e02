"""Numbers packed as CF has it come as xarray decodes them, from everywhere that Zarr is read."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from gmm_dask import Configuration, fit, score
from gmm_dask.chunked.rows import DataError, Rows, open_rows

pytestmark = pytest.mark.filterwarnings(
    "ignore:saving variable None with floating point data as an integer dtype"
)

Values = NDArray[np.float64]
FORMATS = [2, 3]
PACKINGS: dict[str, dict[str, Any]] = {
    "scaled": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 5.0, "_FillValue": -32768},
    "nothing missing": {"dtype": "i2", "scale_factor": 0.01},
    "offset": {"dtype": "i4", "add_offset": 5.0, "_FillValue": -9999},
    "zero missing": {"dtype": "u2", "scale_factor": 0.001, "_FillValue": 0},
    "zero missing of counts": {"dtype": "u1", "_FillValue": 0},
    "unsigned": {"dtype": "i1", "_Unsigned": "true", "scale_factor": 0.1, "_FillValue": -1},
    "long": {"dtype": "i8", "scale_factor": 1e-6, "_FillValue": -(2**62)},
    "big-endian": {"dtype": ">i2", "scale_factor": 0.01, "_FillValue": -1},
    "integers": {"dtype": "i2", "_FillValue": -1},
    "large integers": {"dtype": "i4", "missing_value": -1},
    "floats": {"dtype": "f8", "_FillValue": -9999.0},
    "short floats": {"dtype": "f4", "_FillValue": np.float32(-9999.1)},
    "half floats": {"dtype": "f2", "_FillValue": np.float16(-999)},
    "missing_value": {"dtype": "f4", "missing_value": -9999.0},
    "scaled floats": {"dtype": "f4", "scale_factor": 2.0, "missing_value": -9999.0},
    "plain": {"dtype": "f8"},
}


@pytest.fixture
def values() -> Values:
    """10 ± 1, and whole; some are missing."""
    drawn = np.round(10 + np.random.default_rng(0).normal(size=(103, 3)))
    drawn[3, 1] = drawn[50] = np.nan
    return drawn


def written(folder: Path, values: Values, encoding: dict[str, Any], zarr_format: int) -> str:
    """A table and its columns, as xarray stores them."""
    if not {"_FillValue", "missing_value"} & set(encoding) and encoding["dtype"] != "f8":
        values = np.nan_to_num(values, nan=10.0)
    variables: dict[str, Any] = {"table": (("row", "feature"), values)}
    variables |= {f"c{j}": (("row",), values[:, j]) for j in range(3)}
    encodings = {
        name: {**encoding, "chunks": (20, 3)[: len(dimensions)]}
        for name, (dimensions, _) in variables.items()
    }
    xarray.Dataset(variables).to_zarr(
        folder / "packed.zarr", zarr_format=zarr_format, encoding=encodings, consolidated=False
    )
    return str(folder / "packed.zarr")


def as_xarray_has_it(store: str) -> Any:
    with xarray.open_zarr(store, consolidated=False) as opened:
        return opened.load()


def everything(rows: Rows) -> Values:
    return np.concatenate([rows.read(i)[0] for i in range(len(rows))])


def same(actual: Values, expected: Values) -> None:
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize("packing", PACKINGS)
def test_numbers_are_xarrays(
    values: Values, tmp_path: Path, packing: str, zarr_format: int
) -> None:
    store = written(tmp_path, values, PACKINGS[packing], zarr_format)
    expected = as_xarray_has_it(store)
    for source in (f"{store}/table", zarr.open_array(f"{store}/table", mode="r")):
        rows = open_rows(source)
        assert rows.dtype == expected.table.dtype
        same(everything(rows), expected.table.to_numpy())
        same(everything(pickle.loads(pickle.dumps(rows)).share(0, len(rows))), everything(rows))
    same(everything(open_rows(store, array="table")), expected.table.to_numpy())
    chosen = open_rows(store, array="table", features=[2, 0], rows=slice(40, 90))
    same(everything(chosen), expected.table.to_numpy()[40:90, [2, 0]])
    columns = open_rows(store, columns=["c0", "c1", "c2"])
    same(everything(columns), expected.table.to_numpy())


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_a_packed_store_is_fitted_and_scored_as_what_it_means(
    values: Values, tmp_path: Path, zarr_format: int
) -> None:
    store = written(tmp_path, values, PACKINGS["scaled"], zarr_format)
    expected = as_xarray_has_it(store).table.to_numpy()
    configuration = Configuration(2, tol=0, max_iter=5)
    found = fit(f"{store}/table", configuration, nonfinite="skip")
    plain = fit(expected, configuration, nonfinite="skip")
    np.testing.assert_array_equal(found.mixture.means, plain.mixture.means)
    with pytest.raises(DataError, match="nan"):
        fit(f"{store}/table", configuration)
    for name, source in (("packed", f"{store}/table"), ("plain", expected)):
        score(found, source, tmp_path / f"{name}-scores.zarr", nonfinite="skip")
    packed, unpacked = (
        zarr.open_array(tmp_path / f"{name}-scores.zarr" / "log_density")[...]
        for name in ("packed", "plain")
    )
    np.testing.assert_array_equal(packed, unpacked)


def test_labels_are_codes_whatever_is_missing_among_them(tmp_path: Path) -> None:
    labels = np.arange(60) % 2
    stored = {"dtype": "i2", "_FillValue": -1}
    xarray.Dataset({"labels": ("row", labels)}).to_zarr(
        tmp_path / "rows.zarr", encoding={"labels": stored}, consolidated=False
    )
    rows = np.random.default_rng(0).normal(size=(60, 2))
    one = Configuration(2, max_iter=0)
    found = fit(rows, one, labels=str(tmp_path / "rows.zarr" / "labels"))
    expected = fit(rows, one, labels=labels)
    np.testing.assert_array_equal(found.mixture.means, expected.mixture.means)


@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize("packing", ["scaled", "zero missing", "unsigned", "floats"])
def test_a_chunk_that_has_gone_is_missed(
    values: Values, tmp_path: Path, packing: str, zarr_format: int
) -> None:
    """Whatever its numbers would have been taken for."""
    store = written(tmp_path, values, PACKINGS[packing], zarr_format)
    rows = open_rows(f"{store}/table", block_bytes=480, nonfinite="skip")
    everything(rows)
    lost = Path(store, "table", "1.0" if zarr_format == 2 else "c/1/0")
    lost.unlink()
    with pytest.raises(DataError, match=r"1[./]0 is not in the store"):
        everything(rows)


def test_a_packed_array_in_memory() -> None:
    array = zarr.create_array(
        MemoryStore(),
        data=np.arange(12, dtype="i2").reshape(6, 2),
        attributes={"scale_factor": 0.5, "_FillValue": 11},
    )
    expected = np.arange(12.0).reshape(6, 2) / 2
    expected[5, 1] = np.nan
    same(everything(open_rows(array)), expected)


def test_other_packing_is_other_data(tmp_path: Path) -> None:
    def fingerprint(**attributes: float) -> Any:
        array = zarr.create_array(
            tmp_path / "rows.zarr",
            data=np.arange(6, dtype="i2"),
            attributes=attributes,
            overwrite=True,
        )
        return open_rows(array).fingerprint()

    told = [fingerprint(), fingerprint(scale_factor=2.0), fingerprint(scale_factor=3.0)]
    assert all(one != other for i, one in enumerate(told) for other in told[:i])
    assert "packing" not in told[0]["source"]


@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize("dtype", ["f8", "i2", "u1"])
def test_numbers_of_an_array_that_says_nothing_stay_as_they_are(
    tmp_path: Path, dtype: str, zarr_format: int
) -> None:
    """Zeros too, which are the fill value."""
    stored = np.arange(12).reshape(6, 2).astype(dtype)
    zarr.create_array(tmp_path / "rows.zarr", data=stored, zarr_format=zarr_format)
    rows = open_rows(tmp_path / "rows.zarr")
    assert rows.source.packing is None
    same(everything(rows), stored)


@pytest.mark.parametrize(
    "attributes",
    [{"scale_factor": "half"}, {"add_offset": [1, 2]}, {"_FillValue": {}}, {"missing_value": True}],
)
def test_attributes_that_are_no_numbers_are_refused(
    tmp_path: Path, attributes: dict[str, Any]
) -> None:
    zarr.create_array(tmp_path / "rows.zarr", data=np.arange(6), attributes=attributes)
    with pytest.raises(DataError, match=rf"declares {next(iter(attributes))}=.*mend its attrib"):
        open_rows(tmp_path / "rows.zarr")
