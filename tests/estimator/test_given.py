"""Parameters that are given: refused by name, and gone on from as scikit-learn does."""

import dask.array as da
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Reference

from gmm_dask import GaussianMixture

FAMILIES = ["full", "tied", "diag", "spherical"]
FITTED = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


@pytest.fixture(scope="module")
def iris():
    return load_iris().data


def start(rows, family):
    """All parameters of a start of three components, by way of one step of scikit-learn's."""
    means = rows[[0, 70, 140]]
    model = Reference(3, covariance_type=family, means_init=means, weights_init=[0.3, 0.3, 0.4])
    with pytest.warns(ConvergenceWarning):
        model.set_params(max_iter=1).fit(rows)
    given = {"means_init": model.means_, "weights_init": model.weights_}
    return given | {"precisions_init": model.precisions_, "covariance_type": family}


LYING, TURNED = -np.eye(2), np.array([[2.0, 1.0], [0.0, 2.0]])


@pytest.mark.parametrize("rows", [np.asarray, da.from_array], ids=["numpy", "dask"])
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"weights_init": np.ones((2, 1))}, r"^The parameter 'weights' should have the shape of"),
        (
            {"weights_init": [1.5, -0.5]},
            r"^The parameter 'weights' should be in the range \[0, 1\]",
        ),
        (
            {"weights_init": [0.5, 0.6]},
            r"^The parameter 'weights' should be normalized.* = 1.10000",
        ),
        ({"weights_init": [0.5, np.nan]}, "^Input weights contains NaN"),
        ({"means_init": np.ones(2)}, r"^The parameter 'means' should have the shape of \(2, 2\)"),
        ({"precisions_init": np.ones(2)}, r"^The parameter 'full precision' should have the shape"),
        ({"precisions_init": [LYING, LYING]}, "'full precision' should be symmetric, positive-def"),
        ({"precisions_init": [TURNED, TURNED]}, "'full precision' should be symmetric, positive-d"),
        (
            {"precisions_init": LYING, "covariance_type": "tied"},
            "'tied precision' should be symmetric, positive-definite",
        ),
        (
            {"precisions_init": [[1, 1], [1, 0]], "covariance_type": "diag"},
            "'diag precision' should be positive",
        ),
        (
            {"precisions_init": [1, -1], "covariance_type": "spherical"},
            "'spherical precision' should be positive",
        ),
    ],
)
def test_what_is_given_and_cannot_be_is_named_first(iris, rows, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        GaussianMixture(2, **given).fit(rows(iris[:, :2]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("family", FAMILIES)
def test_precisions_of_the_start_that_would_be_drawn_change_nothing(iris, family, dtype):
    rows = iris.astype(dtype)
    model = GaussianMixture(3, covariance_type=family, random_state=0, tol=1e-5, max_iter=200)
    begun = GaussianMixture(3, covariance_type=family, random_state=0, max_iter=0).fit(rows)
    drawn = model.fit(rows)
    given = GaussianMixture(**model.get_params() | {"precisions_init": begun.precisions_}).fit(rows)
    assert given.n_iter_ == drawn.n_iter_
    for name in FITTED:
        assert getattr(given, name).dtype == dtype
        np.testing.assert_allclose(getattr(given, name), getattr(drawn, name), rtol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_em_takes_scikit_learns_steps_from_given_parameters(iris, family):
    given = start(iris, family)
    theirs = Reference(3, tol=1e-6, max_iter=500, **given).fit(iris)
    ours = GaussianMixture(3, accelerate=None, tol=1e-6, max_iter=500, **given).fit(iris)
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=1e-10)
    given["max_iter"] = theirs.n_iter_ - 1  # the step after it shows that no other is needed
    with pytest.warns(ConvergenceWarning):
        theirs = Reference(3, tol=0, **given).fit(iris)
    assert ours.n_iter_ == theirs.n_iter_
    for name in FITTED:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-7, atol=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_warm_start_goes_on_as_scikit_learns(iris, family, most):
    asked = {"warm_start": True, "max_iter": most, "tol": 0} | start(iris, family)
    theirs, ours = Reference(3, **asked), GaussianMixture(3, accelerate=None, **asked)
    for _ in range(4):
        assert theirs.fit(iris).n_iter_ == ours.fit(iris).n_iter_ == most
        np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-10)
    for one in (theirs, ours):
        one.set_params(tol=1).fit(iris)
    assert theirs.n_iter_ == ours.n_iter_ == 1  # what was reached before is known
    assert theirs.converged_
    assert ours.converged_
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-10)


def test_a_warm_start_needs_labels_only_once(iris):
    model = GaussianMixture(3, labels_init=np.repeat([0, 1, 2], 50), warm_start=True)
    first = model.fit(iris).score(iris)
    assert model.fit(iris).score(iris) >= first


@pytest.mark.parametrize("rows", [np.asarray, da.from_array], ids=["numpy", "dask"])
def test_parameters_have_the_type_of_the_rows_and_answers_that_of_both(iris, rows):
    model = GaussianMixture(3, random_state=0).fit(rows(iris.astype(np.float32)))
    assert {getattr(model, name).dtype for name in FITTED} == {np.dtype(np.float32)}
    assert model.mixture_.means.dtype == np.float64
    for dtype in ("float32", "float64"):
        assert model.predict(iris.astype(dtype)).dtype == np.intp
        assert model.predict_proba(iris.astype(dtype)).dtype == dtype
        assert model.score_samples(iris.astype(dtype)).dtype == dtype
    assert model.sample(9)[0].dtype == np.float64
    whole = model.fit(rows((10 * iris).astype(int)))
    assert whole.means_.dtype == np.float64


def test_a_degenerate_component_that_ends_the_fit_is_a_value_error_as_in_scikit_learn():
    rows = np.repeat([0.0, 1.0], 5)[:, None] * np.ones(3)
    with pytest.raises(ValueError, match="larger reg_covar"):
        GaussianMixture(4, reg_covar=0, degenerate="error", random_state=0).fit(rows)
