"""A gridded store on the command line: options, configuration, names, scores on the grid."""

import numpy as np
import xarray

from tests.chunked.sources.test_grid import SAMPLE, ocean
from tests.chunked.sources.test_stored_grid import CHUNKS, stored

DIMS = ("--sample-dims", ",".join(SAMPLE))


def test_a_grid_is_fitted_scored_and_verified(workplace):
    folder = workplace.folder
    stored(folder / "ocean.zarr", CHUNKS[1])
    fit = ("fit", "ocean.zarr", "-k", 2, "--out", "runs/ocean")
    done = workplace(*fit, *DIMS, "--feature-dims", "depth", "--json").well().json
    assert done["rows"] == int(np.isfinite(ocean()["SSH"]).sum())
    toml = (folder / "runs/ocean/config.toml").read_text()
    assert 'sample_dims = ["time", "lat", "lon"]' in toml
    assert workplace("verify", "runs/ocean", "ocean.zarr", *DIMS).well()
    again = ("fit", "--config", "runs/ocean", "--out", "runs/again", "--json")
    assert workplace(*again).well().json["mean_log_likelihood"] == done["mean_log_likelihood"]

    score = ("score", "runs/ocean", "ocean.zarr", "--out", "scores.zarr", "--json")
    workplace(*score, *DIMS, "--quantile", 0.1).well()
    with xarray.open_zarr(folder / "scores.zarr", consolidated=False) as written:
        assert written["labels"].dims == SAMPLE
        xarray.testing.assert_equal(written["time"], ocean()["time"])
        assert 12 <= written["outlier"].sum() <= 13


def test_features_of_a_start_and_of_what_is_verified_are_those_of_the_model(workplace):
    folder = workplace.folder
    stored(folder / "sea.zarr", CHUNKS[0])
    asked = ("fit", "sea.zarr", "-k", 2, *DIMS)
    workplace(*asked, "--columns", "SSH", "--out", "runs/one").well()
    other = workplace(
        *asked, "--columns", "TEMP", "--out", "runs/two", "--init", "runs/one/model.zarr"
    )
    assert "has 3 features and the model 1" in other.refused()
    workplace(*asked, "--columns", "TEMP,SALT", "--out", "runs/three").well()
    swapped = workplace(
        *asked, "--columns", "SALT,TEMP", "--out", "runs/four", "--init", "runs/three/model.zarr"
    )
    assert "has the features SALT[depth=10.0]" in swapped.refused()
