"""The same starts, the same iterations, the same numbers as scikit-learn, to 1e-9."""

import warnings
from itertools import product

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from gmm_dask.mixture.criteria import aic, bic
from gmm_dask.mixture.iteration import run, start
from gmm_dask.mixture.kernels import Kernel
from tests.mixture.problems import FAMILY_NAMES, drawn_mixture, drawn_rows, over, plain

REG_COVAR = 1e-6


def sklearn_after(iterations, begin, rows):
    model = GaussianMixture(
        begin.components,
        covariance_type=begin.family,
        tol=0,
        reg_covar=REG_COVAR,
        max_iter=iterations,
        weights_init=begin.weights,
        means_init=begin.means,
        precisions_init=begin.precisions,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize(
    ("iterations", "kernel"),
    [*product([1, 5, 50], ["quadratic", "centred"]), (50, "fused")],
)
@pytest.mark.parametrize(("d", "k"), [(1, 2), (3, 4), (8, 3)])
def test_parameters_and_likelihood(family, iterations, kernel: Kernel, d, k):
    begin = drawn_mixture(k, d, family, seed=3)
    rows = drawn_rows(2_000, drawn_mixture(k, d, "full", seed=3), seed=4)
    blocks = over(*np.array_split(rows, 3))

    def statistics_of(mixtures, _):
        return blocks(mixtures, (kernel,))

    (ours,) = run(statistics_of, start([begin]), plain(iterations, REG_COVAR)).candidates
    theirs = sklearn_after(iterations, begin, rows)
    assert ours.iteration == theirs.n_iter_ == iterations
    for name, expected in (
        ("weights", theirs.weights_),
        ("means", theirs.means_),
        ("covariances", theirs.covariances_),
        ("precisions", theirs.precisions_),
        ("factors", theirs.precisions_cholesky_),
    ):
        largest = np.abs(expected).max()
        difference = getattr(ours.mixture, name) - expected
        np.testing.assert_allclose(difference, 0, atol=1e-9 * largest, err_msg=name)
    assert ours.mean_log_likelihood == pytest.approx(theirs.score(rows), rel=1e-9)
    assert bic(ours.mixture, ours.statistics) == pytest.approx(theirs.bic(rows), rel=1e-9)
    assert aic(ours.mixture, ours.statistics) == pytest.approx(theirs.aic(rows), rel=1e-9)
    assert ours.mixture.parameter_count == theirs._n_parameters()
    np.testing.assert_allclose(
        ours.mixture.responsibilities(rows[:50]), theirs.predict_proba(rows[:50]), atol=1e-9
    )
    np.testing.assert_allclose(
        ours.mixture.log_density(rows[:50]), theirs.score_samples(rows[:50]), rtol=1e-9
    )
    np.testing.assert_array_equal(ours.mixture.labels(rows), theirs.predict(rows))


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_tol_means_the_same(family):
    begin = drawn_mixture(3, 2, family, seed=5)
    rows = drawn_rows(1_000, begin, seed=6)
    theirs = GaussianMixture(
        3,
        covariance_type=family,
        tol=1e-4,
        max_iter=500,
        weights_init=begin.weights,
        means_init=begin.means,
        precisions_init=begin.precisions,
    ).fit(rows)
    (ours,) = run(over(rows), start([begin]), plain(500, REG_COVAR, tol=1e-4)).candidates
    assert ours.converged
    # their change belongs to the mixtures before the M-step: they notice one iteration later
    assert theirs.n_iter_ - 1 <= ours.iteration <= theirs.n_iter_
