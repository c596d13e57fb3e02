"""Labelled arrays in, labelled arrays out; held against scikit-learn on the stacked array."""

import pickle

import numpy as np
import pytest
import xarray
from sklearn.mixture import GaussianMixture as Reference

from gmm_dask import DataError, GaussianMixture
from tests.chunked.sources.test_grid import CHUNKS, SAMPLE, SIZES, ocean, stacked


@pytest.mark.parametrize("chunks", CHUNKS)
def test_fit_and_predict_agree_with_scikit_learn_on_the_stacked_array(chunks):
    dataset = ocean() if chunks is None else ocean().chunk(chunks)
    table, _ = stacked(ocean())
    land = np.isnan(table).any(axis=1)
    start = {"means_init": [[0.0] * 7, [6.0] * 3 + [0.0] * 3 + [-3.0]]}
    theirs = Reference(2, tol=1e-9, max_iter=500, **start).fit(table[~land])
    ours = GaussianMixture(2, tol=1e-9, max_iter=500, **start)
    ours.fit(dataset, sample_dims=SAMPLE, feature_dims="depth")
    np.testing.assert_allclose(ours.means_, theirs.means_, atol=1e-4)

    labels = np.full(len(table), -1)
    labels[~land] = theirs.predict(table[~land])
    shape = [SIZES[d] for d in SAMPLE]
    np.testing.assert_array_equal(ours.predict(dataset).values, labels.reshape(shape))
    found = ours.score_samples(dataset).values.ravel()
    np.testing.assert_allclose(found[~land], theirs.score_samples(table[~land]), atol=1e-4)
    assert np.isnan(found[land]).all()
    shares = ours.predict_proba(dataset)
    assert shares.sizes["component"] == 2
    np.testing.assert_allclose(
        shares.values.reshape(-1, 2)[~land], theirs.predict_proba(table[~land]), atol=1e-4
    )
    assert ours.score(dataset) == pytest.approx(theirs.score(table[~land]), abs=1e-6)


@pytest.fixture(scope="module")
def model():
    return GaussianMixture(2, random_state=0).fit(ocean(), sample_dims=SAMPLE, feature_dims="depth")


def test_features_are_found_by_name_in_any_order_and_among_others(model):
    dataset = ocean()
    expected = model.predict(dataset)
    other = dataset[["SSH", "SALT", "TEMP"]].isel(depth=[2, 0, 1])
    other["U"] = dataset["SSH"] * 2
    xarray.testing.assert_identical(model.predict(other), expected)
    assert pickle.loads(pickle.dumps(model)).predict(other).equals(expected)


def test_other_cells_of_the_same_features_are_labelled(model):
    expected = model.predict(ocean())
    xarray.testing.assert_equal(model.predict(ocean().isel(time=3)), expected.isel(time=3))
    profiles = ocean().stack(profile=SAMPLE).dropna("profile").reset_index("profile")
    labels = model.predict(profiles)
    assert labels.dims == ("profile",)
    assert list(labels.coords) == list(profiles.drop_dims("depth").coords)
    np.testing.assert_array_equal(labels, expected.values[expected.values >= 0])


def test_features_that_are_not_there_are_refused(model):
    with pytest.raises(DataError, match=r"has no feature 'TEMP\[depth=50.0\]'"):
        model.predict(ocean().isel(depth=[0, 1]))
    with pytest.raises(DataError, match="no variable 'SSH'"):
        model.predict(ocean().drop_vars("SSH"))


def test_labels_of_chunks_are_lazy_and_cut_alike(model):
    labels = model.predict(ocean().chunk({"time": 4, "lat": 2}))
    assert labels.chunks == ((4, 2), (2, 2, 1), (7,))
    assert labels.attrs["flag_meanings"] == "masked component_0 component_1"
    xarray.testing.assert_equal(labels.compute(), model.predict(ocean()))


def test_fit_predict_and_weights_along_some_dimensions():
    dataset = ocean()
    labels = GaussianMixture(2, random_state=0).fit_predict(
        dataset, sample_weight=dataset["area"], sample_dims=SAMPLE
    )
    assert labels.dims == SAMPLE
    with pytest.raises(DataError, match="list has no names for its dimensions"):
        GaussianMixture(2).fit([[0.0], [1.0]], sample_dims="row")
