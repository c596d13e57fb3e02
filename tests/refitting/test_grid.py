"""Grids that grow along their first dimension are tables to which rows are appended."""

import numpy as np
import pytest
import xarray

from gmm_dask import Configuration, RefitOptions, refit
from gmm_dask.fitting.refitting.survey import RowsChangedError

SAMPLE = ("time", "lat")


def sea(first, last):
    random = np.random.default_rng(first)
    shape = last - first, 30, 2
    values = random.normal(size=shape) + 8 * random.integers(0, 2, shape[:2])[..., None]
    values[:, :5] = np.nan
    made = xarray.Dataset({"T": (("time", "lat", "depth"), values)}, {"time": range(first, last)})
    return made.chunk({"time": 8, "lat": 10})


@pytest.mark.parametrize(("length", "full"), [(40, True), (36, False)])
def test_times_that_are_appended_to_full_chunks_are_new_rows(length, full, tmp_path):
    path, models = str(tmp_path / "sea.zarr"), str(tmp_path / "models")
    asked = {"sample_dims": SAMPLE, "columns": ["T"], "missing_chunks": "fill"}
    sea(0, length).to_zarr(path, zarr_format=3, consolidated=False)

    def again():
        return refit(path, models, Configuration(2), options=RefitOptions(), **asked)

    assert again().outcome == "promoted"
    assert again().outcome == "nothing new"
    sea(length, 80).chunk({"time": -1}).to_zarr(
        path, append_dim="time", consolidated=False, safe_chunks=False
    )
    if not full:
        with pytest.raises(RowsChangedError, match="its rows were"):
            again()
    else:
        assert again().new_rows == 40 * 30
