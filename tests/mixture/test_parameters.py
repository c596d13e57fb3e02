"""The mixture by itself: densities, marginals, conditionals, samples, counts, what it refuses."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from gmm_dask.mixture.covariance.positive import NotPositiveDefiniteError
from gmm_dask.mixture.parameters import Mixture
from tests.mixture.problems import FAMILY_NAMES, assert_same_bits, drawn_mixture, drawn_rows

families = st.sampled_from(FAMILY_NAMES)


def by_scipy(mixture, rows):
    return sum(
        weight * multivariate_normal(mean, matrix).pdf(rows)
        for weight, mean, matrix in zip(
            mixture.weights, mixture.means, mixture.matrices, strict=True
        )
    )


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("d", [1, 2, 5])
def test_density_and_posteriors(family, d):
    mixture = drawn_mixture(3, d, family)
    rows = drawn_rows(100, mixture)
    np.testing.assert_allclose(mixture.log_density(rows), np.log(by_scipy(mixture, rows)))
    members = mixture.responsibilities(rows)
    np.testing.assert_allclose(members.sum(axis=1), 1)
    for k, (weight, mean, matrix) in enumerate(
        zip(mixture.weights, mixture.means, mixture.matrices, strict=True)
    ):
        joint = weight * multivariate_normal(mean, matrix).pdf(rows)
        np.testing.assert_allclose(members[:, k], joint / by_scipy(mixture, rows), atol=1e-12)
    np.testing.assert_array_equal(mixture.labels(rows), members.argmax(axis=1))


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_marginal_against_integration(family):
    mixture = drawn_mixture(3, 2, family)
    for kept in (0, 1):
        marginal = mixture.marginal([kept])
        for value in (-1.0, 0.3, 2.0):

            def density(other, kept=kept, value=value):
                point = [value, other] if kept == 0 else [other, value]
                return float(np.exp(mixture.log_density([point])[0]))

            total, _ = integrate.quad(
                density, -40, 40, limit=200, points=mixture.means[:, 1 - kept]
            )
            assert np.exp(marginal.log_density([[value]])[0]) == pytest.approx(total, rel=1e-7)


@settings(deadline=None, max_examples=30)
@given(family=families, seed=st.integers(0, 99), order=st.permutations(range(4)))
def test_joint_is_marginal_times_conditional(family, seed, order):
    mixture = drawn_mixture(3, 4, family, seed)
    row = drawn_rows(1, mixture, seed)[0]
    for size in (1, 2, 3):
        known = list(order[:size])
        rest = [i for i in range(4) if i not in known]
        conditional = mixture.conditional({i: row[i] for i in known})
        assert conditional.family == family
        joint = mixture.log_density(row[None])[0]
        marginal = mixture.marginal(known).log_density(row[known][None])[0]
        assert conditional.log_density(row[rest][None])[0] == pytest.approx(joint - marginal)


def test_marginal_keeps_the_order_asked_for():
    mixture = drawn_mixture(3, 4)
    row = drawn_rows(1, mixture)
    swapped = mixture.marginal([3, 1, 0, 2])
    assert swapped.log_density(row[:, [3, 1, 0, 2]]) == pytest.approx(mixture.log_density(row))


def test_conditional_on_nothing_and_on_everything():
    mixture = drawn_mixture(2, 2)
    assert mixture.conditional({}) is mixture
    with pytest.raises(ValueError, match="none left"):
        mixture.conditional({0: 1.0, 1: 2.0})


def test_conditional_far_from_all_components_stays_a_mixture():
    mixture = drawn_mixture(3, 2)
    far = mixture.conditional({0: 1e6})
    assert far.weights.sum() == pytest.approx(1)
    assert np.isfinite(far.log_density([[0.0]])).all()


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_samples_have_the_moments(family):
    mixture = drawn_mixture(3, 3, family)
    n = 200_000
    rows, labels = mixture.sample(n, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(labels) / n, mixture.weights, atol=5 / np.sqrt(n))
    for k in range(3):
        own = rows[labels == k]
        deviations = np.sqrt(np.diagonal(mixture.matrices[k]))
        error = 5 / np.sqrt(len(own))
        np.testing.assert_allclose(
            (own.mean(axis=0) - mixture.means[k]) / deviations, 0, atol=error
        )
        units = deviations * deviations[:, None]
        np.testing.assert_allclose(
            np.cov(own.T) / units, mixture.matrices[k] / units, atol=2 * error
        )
    np.testing.assert_allclose(mixture.mean, rows.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(mixture.variance, rows.var(axis=0), rtol=0.02)


def test_the_generator_decides_the_sample():
    mixture = drawn_mixture(3, 2)
    one, again, other = (mixture.sample(9, np.random.default_rng(s))[0] for s in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize(("k", "d"), [(1, 1), (3, 1), (2, 5)])
def test_parameter_count_is_scikit_learns(family, k, d):
    model = GaussianMixture(k, covariance_type=family)
    model.means_ = np.zeros((k, d))
    assert drawn_mixture(k, d, family).parameter_count == model._n_parameters()


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_precisions_and_factors_are_inverses(family):
    mixture = drawn_mixture(3, 4, family)
    precisions = mixture.spread(mixture.precisions)
    factors = mixture.spread(mixture.factors)
    if precisions.ndim == 2:
        np.testing.assert_allclose(precisions * mixture.variances, 1)
        np.testing.assert_allclose(factors**2, precisions)
    else:
        identity = np.tile(np.eye(4), (3, 1, 1))
        np.testing.assert_allclose(precisions @ mixture.matrices, identity, atol=1e-12)
        np.testing.assert_allclose(factors @ factors.transpose(0, 2, 1), precisions)
        assert not np.tril(factors, -1).any()


@pytest.mark.parametrize("family", ["full", "VVE"])
def test_a_large_mixture_goes_as_triangles_and_finds_again_what_it_let_go(family):
    mixture = drawn_mixture(8, 96, family)
    factors, precisions = mixture.factors, mixture.precisions
    sent = pickle.dumps(mixture)
    assert len(sent) < 0.53 * mixture.covariances.nbytes
    assert_same_bits(pickle.loads(sent), mixture)
    mixture.forget()
    assert mixture.factors is not factors
    np.testing.assert_array_equal(mixture.factors, factors)
    np.testing.assert_array_equal(mixture.precisions, precisions)


def test_a_large_mixture_that_is_symmetric_to_rounding_only_goes_as_it_is():
    drawn = drawn_mixture(8, 96)
    covariances = drawn.covariances.copy()
    covariances[3, 5, 2] *= 1 + 1e-15
    mixture = Mixture(drawn.weights, drawn.means, covariances)
    assert mixture.covariances[3, 5, 2] != mixture.covariances[3, 2, 5]
    assert_same_bits(pickle.loads(pickle.dumps(mixture)), mixture)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_mixture_does_not_change_and_survives_a_pickle(family):
    mixture = drawn_mixture(3, 2, family)
    for name in ("weights", "means", "covariances", "precisions", "factors"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(mixture, name)[...] = 0
    assert_same_bits(pickle.loads(pickle.dumps(mixture)), mixture)


def test_arguments_are_copied():
    means = np.zeros((2, 1))
    mixture = Mixture([0.5, 0.5], means, np.ones(2), "spherical")
    means[0] = 5
    assert not mixture.means.any()


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_take(family):
    mixture = drawn_mixture(4, 2, family)
    two = mixture.take(np.array([2, 0]))
    np.testing.assert_array_equal(two.means, mixture.means[[2, 0]])
    np.testing.assert_array_equal(two.matrices, mixture.matrices[[2, 0]])
    np.testing.assert_allclose(two.weights, mixture.weights[[2, 0]] / mixture.weights[[2, 0]].sum())


EYE = np.tile(np.eye(2), (2, 1, 1))
ASKEW = EYE + np.array([[0, 1e-6], [0, 0]])
MEANS = np.zeros((2, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5, 0.5], [0.0, 0.0], EYE), r"means must have shape \(K, D\)"),
        (([1.0], MEANS, EYE), "need weights of shape"),
        (([0.5, 0.5], MEANS, np.ones((2, 2))), "must have shape"),
        (([0.5, 0.6], MEANS, EYE), "sum to 1"),
        (([1.0, 0.0], MEANS, EYE), "positive"),
        (([0.5, np.nan], MEANS, EYE), "weights must be finite"),
        (([0.5, 0.5], MEANS + np.inf, EYE), "means must be finite"),
        (([0.5, 0.5], MEANS, ASKEW), "symmetric"),
        (([0.5, 0.5], MEANS, EYE, "round"), "choose one of full, tied, diag, spherical"),
    ],
)
def test_what_is_no_mixture_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mixture(*arguments)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_covariance_that_is_not_positive_definite_is_named(family):
    mixture = drawn_mixture(3, 2, family)
    covariances = mixture.covariances.copy()
    covariances[slice(None) if family == "tied" else -1] *= -1
    with pytest.raises(NotPositiveDefiniteError) as raised:
        Mixture(mixture.weights, mixture.means, covariances, family)
    assert raised.value.component == (0 if family == "tied" else 2)
    assert pickle.loads(pickle.dumps(raised.value)).component == raised.value.component


def test_rounding_is_not_asymmetry():
    covariance = np.array([[[1.0, 1e-17], [-1e-17, 1.0]]])
    Mixture([1.0], [[0.0, 0.0]], covariance)


def test_printing_shows_every_component():
    text = str(drawn_mixture(3, 8, "diag"))
    assert all(said in text.splitlines()[0] for said in ("3 components", "8 features", "diag"))
    assert all(any(line.strip().startswith(str(k)) for line in text.splitlines()) for k in range(3))
