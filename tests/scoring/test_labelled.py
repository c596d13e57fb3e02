"""Scores of cells lie on their grid, beside its coordinates, as xarray opens them."""

import shutil

import numpy as np
import pytest
import xarray
import zarr

from gmm_dask import DataError, fit, score
from gmm_dask.scoring import lazy
from tests.chunked.sources.test_grid import SAMPLE, ocean

REGULAR = [None, {"time": 4, "lat": 2, "lon": 3, "depth": 1}, {"time": 1}]
WRITTEN = ("labels", "log_density", "probabilities")


def gridded(chunks):
    return ocean() if chunks is None else ocean().chunk(chunks)


@pytest.fixture(scope="module")
def found():
    return fit(ocean(), 2, sample_dims=SAMPLE)


@pytest.mark.parametrize("chunks", REGULAR)
def test_scores_are_the_lazy_answers_with_their_coordinates(chunks, found, tmp_path):
    dataset, out = gridded(chunks), tmp_path / "scores.zarr"
    score(found, dataset, out, write=WRITTEN, sample_dims=SAMPLE, feature_dims="depth")
    written = xarray.open_zarr(out, consolidated=False)
    for name, question in zip(WRITTEN, ("labels", "log_density", "responsibilities"), strict=True):
        answer = getattr(lazy, question)(dataset, found.mixture, sample_dims=SAMPLE)
        xarray.testing.assert_allclose(written[name], answer)
        assert written[name].dims == answer.dims
        assert written[name].attrs == answer.attrs
        assert set(written[name].coords) == {"time", "lat", "lon", "area"}
    assert (written["labels"] == -1).sum() == np.isnan(dataset["SSH"]).sum()
    if chunks is not None:
        assert written["labels"].chunksizes == dataset["SSH"].chunksizes


def test_workers_read_and_write_a_grid(client, found, tmp_path):
    dataset = gridded(REGULAR[1])
    score(found, dataset, tmp_path / "scores.zarr", sample_dims=SAMPLE, client=client)
    written = xarray.open_zarr(tmp_path / "scores.zarr", consolidated=False)
    answer = lazy.labels(ocean(), found.mixture, sample_dims=SAMPLE)
    xarray.testing.assert_equal(written["labels"].astype(int).compute(), answer)
    again = fit(dataset, 2, sample_dims=SAMPLE, client=client)
    alone = fit(dataset, 2, sample_dims=SAMPLE, client=None, cache="none")
    assert again.mixture.means.tobytes() == alone.mixture.means.tobytes()


def test_what_is_missing_is_written_and_nothing_else(found, tmp_path):
    dataset, out = gridded(REGULAR[1]), tmp_path / "scores.zarr"
    first = score(found, dataset, out, write=WRITTEN, sample_dims=SAMPLE)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    for place in ("labels/c/1/2/0", "log_density/c/0/1/1", "probabilities/c/0/0/0/0"):
        (out / place).unlink()
    again = score(found, dataset, out, write=WRITTEN, sample_dims=SAMPLE)
    assert (first.blocks_written, again.blocks_written) == (18, 3)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    score(found, dataset, out, write=["labels"], sample_dims=SAMPLE, overwrite=True)
    assert sorted(zarr.open_group(out).array_keys()) == [
        "area",
        "block_statistics",
        "labels",
        "lat",
        "lon",
        "time",
    ]


def test_features_are_taken_by_name_and_refused_where_they_differ(found, tmp_path):
    reversed_one = ocean()[["SSH", "SALT", "TEMP"]].isel(depth=[2, 1, 0])
    for i, dataset in enumerate((ocean(), reversed_one)):
        score(found, dataset, tmp_path / f"{i}.zarr", sample_dims=SAMPLE)
    one, other = (xarray.open_zarr(tmp_path / f"{i}.zarr", consolidated=False) for i in (0, 1))
    xarray.testing.assert_equal(one["labels"], other["labels"])
    shutil.rmtree(tmp_path / "0.zarr")
    shallow = ocean().assign_coords(depth=[10.0, 20.0, 60.0])
    with pytest.raises(DataError, match=r"has the features TEMP\[depth=10.0\].* and the model"):
        score(found, shallow, tmp_path / "0.zarr", sample_dims=SAMPLE)


def test_grids_that_zarr_cannot_hold_are_refused(found, tmp_path):
    with pytest.raises(DataError, match=r"unlike lengths along 'lat'.*\.chunk\(lat=…\)"):
        score(found, ocean().chunk(lat=(1, 3, 1)), tmp_path / "a.zarr", sample_dims=SAMPLE)
    odd = ocean().rename(area="labels")
    with pytest.raises(DataError, match="coordinate 'labels' has the name of a score"):
        score(found, odd, tmp_path / "a.zarr", sample_dims=SAMPLE)
