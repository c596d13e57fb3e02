"""A grid in a Zarr store, read by path, is what xarray reads of it."""

import pickle

import numpy as np
import pytest
import xarray
import zarr

from gmm_dask import Configuration, DataError, GaussianMixture, fit, open_rows, score
from gmm_dask.scoring import lazy
from tests.chunked.sources.test_grid import SAMPLE, check_answers, everything, ocean

CHUNKS = [
    {"time": 6, "lat": 5, "lon": 7, "depth": 3},
    {"time": 4, "lat": 2, "lon": 3, "depth": 1},
    {"time": 1, "lat": 5, "lon": 4, "depth": 2},
]
PACKED = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 3.0, "_FillValue": -9999}


def stored(path, chunks, zarr_format=3, packed=False):
    dataset = ocean().chunk(chunks)
    encoding = {"TEMP": PACKED, "SSH": {"_FillValue": np.float32(-1)}} if packed else {}
    # Chunks of land alone would be left out, and what is not there may have been lost.
    options = {"zarr_format": zarr_format, "consolidated": False, "write_empty_chunks": True}
    dataset.to_zarr(path, encoding=encoding, **options)
    return str(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("chunks", CHUNKS)
def test_rows_are_those_that_xarray_reads(chunks, zarr_format, packed, tmp_path):
    path = stored(tmp_path / "ocean.zarr", chunks, zarr_format, packed)
    with xarray.open_zarr(path, consolidated=False) as dataset:
        theirs = open_rows(dataset[["SALT", "SSH", "TEMP"]], sample_dims=SAMPLE, block_bytes=600)
        ours = open_rows(path, sample_dims=SAMPLE, feature_dims="depth", block_bytes=600)
        assert ours.feature_names == theirs.feature_names
        np.testing.assert_array_equal(everything(ours), everything(theirs))
        assert ours.cells.fingerprint() == theirs.cells.fingerprint()
        found, other = (fit(rows, Configuration(2, seed=1)) for rows in (ours, theirs))
        assert found.mixture.means.tobytes() == other.mixture.means.tobytes()
    share = pickle.loads(pickle.dumps(ours.share(0, 1)))
    np.testing.assert_array_equal(share.read_all(0)[0], ours.read_all(0)[0])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_answers_and_scores_have_coordinates(zarr_format, tmp_path):
    path = stored(tmp_path / "ocean.zarr", CHUNKS[1], zarr_format)
    ours = GaussianMixture(2, random_state=0).fit(path, sample_dims=SAMPLE)
    labels = ours.predict(path)
    assert labels.chunks == ((4, 2), (2, 2, 1), (3, 3, 1))
    xarray.testing.assert_equal(ours.predict(ocean()), labels.compute())
    score(ours.fit_, path, tmp_path / "scores.zarr", sample_dims=SAMPLE, quantile=0.1)
    written = xarray.open_zarr(tmp_path / "scores.zarr", consolidated=False)
    xarray.testing.assert_equal(written["labels"].astype(int), labels)
    density = ours.score_samples(ocean())
    flags = density < np.nanquantile(density, 0.1, method="lower")
    xarray.testing.assert_equal(written["outlier"].compute(), flags)


def test_variables_weights_and_one_array_are_chosen_by_name(tmp_path):
    path = stored(tmp_path / "ocean.zarr", CHUNKS[1])
    rows = open_rows(path, columns=["SSH", "TEMP"], sample_dims=SAMPLE, weights="area")
    with xarray.open_zarr(path, consolidated=False) as dataset:
        theirs = open_rows(dataset, columns=["SSH", "TEMP"], sample_dims=SAMPLE, weights="area")
        for i in range(len(rows)):
            for one, other in zip(rows.read(i), theirs.read(i), strict=True):
                np.testing.assert_array_equal(one, other)
    temperature = open_rows(f"{path}/TEMP", sample_dims=SAMPLE)
    assert temperature.feature_names == ("TEMP[depth=0]", "TEMP[depth=1]", "TEMP[depth=2]")
    chosen = open_rows(path, array="TEMP", sample_dims=SAMPLE, features=["TEMP[depth=50.0]"])
    np.testing.assert_array_equal(everything(chosen)[:, 0], everything(temperature)[:, 2])


def test_a_chunk_that_is_lost_or_damaged_is_told(tmp_path):
    path = stored(tmp_path / "ocean.zarr", CHUNKS[1])
    (tmp_path / "ocean.zarr/TEMP/c/1/0/2/1").unlink()
    with pytest.raises(DataError, match="TEMP: chunk TEMP/c/1/0/2/1 is not in the store"):
        fit(path, 2, sample_dims=SAMPLE)
    rows = open_rows(path, sample_dims=SAMPLE)
    assert rows.source.chunk_of(len(everything(open_rows(ocean(), sample_dims=SAMPLE))) - 1, 6) == (
        "TEMP/c/1/2/2/2"
    )
    (tmp_path / "ocean.zarr/SSH/c/0/0/0").write_bytes(b"x")
    with pytest.raises(DataError, match="SSH: chunk SSH/c/0/0/0 is truncated or corrupt"):
        rows.source.read(0, 1)


def test_refusals(tmp_path):
    path = stored(tmp_path / "ocean.zarr", CHUNKS[0])
    for asked, said in (
        ({"sample_dims": "y"}, "there is no dimension 'y'"),
        ({"sample_dims": SAMPLE, "columns": ["U"]}, "has no array 'U'"),
        ({"sample_dims": SAMPLE, "weights": "depth"}, "'depth', which cells have not"),
        ({"sample_dims": SAMPLE, "array": "TEMP", "columns": ["TEMP"]}, "not both"),
    ):
        with pytest.raises(DataError, match=said):
            open_rows(path, **asked)
    swollen = {"dimension_names": ["x", "y"], "dtype": "f4", "shape": (2**40, 2**20)}
    for name, chunks, told in (
        ("many", (2**20, 8), "chunks along x, y, beyond"),
        ("large", (2**20, 2**20), "GiB each: store it in smaller chunks"),
    ):
        zarr.create_group(tmp_path / f"{name}.zarr").create_array("v", chunks=chunks, **swollen)
        with pytest.raises(DataError, match=told):
            open_rows(tmp_path / f"{name}.zarr", sample_dims=("x", "y"))
    empty = zarr.create_group(tmp_path / "empty.zarr")
    empty.create_array("v", shape=(0, 2), dtype="f4", dimension_names=["x", "y"])
    with pytest.raises(DataError, match="holds 0 rows × 1 features: nothing to fit"):
        open_rows(tmp_path / "empty.zarr", sample_dims=("x", "y"))
    zarr.create_array(tmp_path / "plain.zarr", data=np.ones((3, 2)))
    with pytest.raises(DataError, match="no arrays with names for their dimensions"):
        open_rows(tmp_path / "plain.zarr", sample_dims="row")
    check_answers(
        ocean(), fit(path, 2, sample_dims=SAMPLE, columns=["TEMP", "SALT", "SSH"]).mixture
    )
    assert (
        lazy.labels(path, fit(path, 2, sample_dims=SAMPLE).mixture, sample_dims=SAMPLE).dims
        == SAMPLE
    )
