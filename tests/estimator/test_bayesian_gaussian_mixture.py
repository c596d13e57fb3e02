"""The variational mixture in scikit-learn's manners, for rows that it could not take."""

import dask.array as da
import numpy as np
import pytest
import xarray
from sklearn.datasets import load_iris
from sklearn.mixture import BayesianGaussianMixture as Reference
from sklearn.utils.estimator_checks import estimator_checks_generator

from gmm_dask import BayesianGaussianMixture, Configuration, fit

CHECKS = [
    (estimator, check)
    for estimator, check in estimator_checks_generator(
        BayesianGaussianMixture(max_iter=200, random_state=0)
    )
    if check.func.__name__ != "check_array_api_input"  # scikit-learn's own mixture skips it too
]
IRIS = load_iris().data
FAMILIES = ["full", "tied", "diag", "spherical"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"), CHECKS, ids=[check.func.__name__ for _, check in CHECKS]
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


class Fixed(Reference):
    """scikit-learn's, at the rest of another."""

    def _initialize_parameters(self, X, *_, **__):
        self._initialize(X, self.other.predict_proba(X))


@pytest.mark.parametrize("process", ["dirichlet_process", "dirichlet_distribution"])
@pytest.mark.parametrize("family", FAMILIES)
def test_attributes_and_answers_are_scikit_learns_at_rest(family, process):
    how = {
        "covariance_type": family,
        "weight_concentration_prior_type": process,
        "weight_concentration_prior": 0.7,
        "mean_precision_prior": 0.4,
        "mean_prior": [5.0, 3.0, 4.0, 1.0],
        "degrees_of_freedom_prior": 6.5,
        "tol": 1e-9,
        "max_iter": 3000,
    }
    ours = BayesianGaussianMixture(4, random_state=0, **how).fit(IRIS)
    theirs = Fixed(n_components=4, **how)
    theirs.other = ours
    theirs.fit(IRIS)
    for name in (
        *("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"),
        *("weight_concentration_", "mean_precision_", "degrees_of_freedom_"),
        *("weight_concentration_prior_", "mean_precision_prior_", "mean_prior_"),
        *("degrees_of_freedom_prior_", "covariance_prior_"),
    ):
        one, other = getattr(ours, name), getattr(theirs, name)
        assert np.shape(one) == np.shape(other), name
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3, err_msg=name)
    np.testing.assert_allclose(ours.predict_proba(IRIS), theirs.predict_proba(IRIS), atol=1e-3)
    np.testing.assert_allclose(ours.score_samples(IRIS), theirs.score_samples(IRIS), atol=2e-3)
    assert ours.score(IRIS) == pytest.approx(theirs.score(IRIS), abs=1e-4)


def test_rows_from_elsewhere_get_the_same_answers():
    ours = BayesianGaussianMixture(4, random_state=0).fit(da.from_array(IRIS, chunks=(40, 4)))
    near = BayesianGaussianMixture(4, random_state=0).fit(IRIS)
    np.testing.assert_allclose(ours.means_, near.means_, rtol=1e-9)
    lazy = ours.score_samples(da.from_array(IRIS, chunks=(40, 4)))
    np.testing.assert_allclose(lazy.compute(), ours.score_samples(IRIS))
    named = xarray.DataArray(IRIS, dims=("flower", "feature"), coords={"flower": np.arange(150)})
    assert ours.score_samples(named).dims == ("flower",)
    rows, labels = ours.sample(2_000)
    counts = np.bincount(labels, minlength=4) / 2_000
    np.testing.assert_allclose(counts, ours.weights_, atol=0.05)
    assert rows.shape == (2_000, 4)


def test_it_goes_on_from_a_checkpoint_and_warm(tmp_path):
    how = {"n_components": 4, "random_state": 0, "tol": 1e-9}
    whole = BayesianGaussianMixture(max_iter=500, checkpoint=tmp_path / "run", **how).fit(IRIS)
    again = BayesianGaussianMixture(max_iter=500, checkpoint=tmp_path / "run", **how).fit(IRIS)
    assert again.covariances_.tobytes() == whole.covariances_.tobytes()
    assert again.lower_bound_ == whole.lower_bound_
    warm = whole.set_params(checkpoint=None, warm_start=True)
    before = warm.lower_bound_
    warm.fit(IRIS)
    assert warm.n_iter_ <= 3
    assert warm.lower_bound_ >= before - 1e-6


def test_it_is_the_same_fit_as_by_a_configuration():
    ours = BayesianGaussianMixture(
        3, random_state=5, covariance_prior=np.eye(4).tolist(), mean_prior=np.zeros(4)
    ).fit(IRIS)
    asked = Configuration(
        3,
        seed=5,
        method="variational",
        prior={"mean": [0.0] * 4, "covariance": np.eye(4).tolist()},
    )
    assert fit(IRIS, asked).objective * 150 == pytest.approx(ours.lower_bound_, rel=1e-12)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"covariance_prior": np.eye(3)}, "should have the shape of"),
        ({"covariance_prior": -np.eye(4)}, "symmetric, positive-definite"),
        ({"mean_prior": [1.0]}, "'means' should have the shape of"),
        ({"weight_concentration_prior": 0.0}, "must be"),
        ({"covariance_type": "VEV"}, "not VEV"),
        ({"method": "variational"}, "unexpected keyword argument 'method'"),
    ],
)
def test_what_cannot_be_is_refused(given, words):
    with pytest.raises((ValueError, TypeError), match=words):
        BayesianGaussianMixture(2, **given).fit(IRIS)
