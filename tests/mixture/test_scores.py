"""What a mixture says of rows: the same in compiled loops and in NumPy, and wherever a row lies."""

import mpmath
import numpy as np
import pytest

from gmm_dask.mixture import density
from gmm_dask.mixture.compilation import SWITCH
from gmm_dask.mixture.density import LOOK_FROM_FEATURES
from gmm_dask.mixture.parameters import Mixture
from tests.mixture.problems import FAMILY_NAMES, drawn_mixture

SHAPES = [(1, 1), (1, 5), (2, 3), (3, 4), (4, 1), (5, 7), (9, 8), (LOOK_FROM_FEATURES, 12), (34, 9)]
ASKED = {"density": True, "responsibilities": True}


def sampled(n, mixture):
    return mixture.sample(n, np.random.default_rng(1))[0]


def said(rows, mixture, **asked):
    return density.scores(rows, mixture.terms, **(asked or ASKED))


def without_compiled_loops(monkeypatch, rows, mixture):
    with monkeypatch.context() as switched:
        switched.setenv(SWITCH, "0")
        return said(rows, mixture)


@pytest.mark.parametrize("kind", [float, np.float32, np.int16, ">f8"])
@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize(("d", "k"), SHAPES)
@pytest.mark.parametrize("spread", [1, 12])
def test_compiled_loops_say_what_numpy_says(d, k, family, kind, spread, monkeypatch):
    mixture = drawn_mixture(k, d, family, spread=spread)
    rows = (3 * sampled(1111, mixture)).astype(kind)
    found, expected = said(rows, mixture), without_compiled_loops(monkeypatch, rows, mixture)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.log_density, expected.log_density, rtol=1e-12)
    sizes = np.abs(expected.log_density).max()
    np.testing.assert_allclose(
        found.responsibilities, expected.responsibilities, rtol=1e-13 * sizes + 1e-10, atol=1e-13
    )


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize(("d", "k"), SHAPES)
@pytest.mark.parametrize("spread", [1, 12])
def test_a_row_has_the_same_bits_wherever_it_lies_and_whatever_is_asked_for(d, k, family, spread):
    """Also where a look leaves few components, and where another row keeps it from being taken."""
    mixture = drawn_mixture(k, d, family, spread=spread)
    rows = sampled(900, mixture)
    rows[100:400] = mixture.means.mean(axis=0) + rows[100:400] / 50  # between all components
    whole = said(rows, mixture)
    for cuts in ([1, 2, 9, 100, 399, 523], [64, 128, 400, 899]):
        parts = [said(part, mixture) for part in np.split(rows, cuts)]
        for one, other in zip(whole, zip(*parts, strict=True), strict=True):
            np.testing.assert_array_equal(one, np.concatenate(other))
    turned = said(rows[::-1], mixture)
    for one, other in zip(whole, turned, strict=True):
        np.testing.assert_array_equal(one, other[::-1])
    np.testing.assert_array_equal(whole.labels, mixture.labels(rows))
    np.testing.assert_array_equal(whole.log_density, mixture.log_density(rows))
    np.testing.assert_array_equal(whole.responsibilities, mixture.responsibilities(rows))


def exact_log_density(row, mixture):
    """log Σ w_k N(x | k) with a hundred digits, covariances given as matrices."""
    with mpmath.workdps(100):
        x, total = mpmath.matrix(row.tolist()), mpmath.mpf(0)
        for weight, mean, matrix in zip(
            mixture.weights, mixture.means, mixture.matrices, strict=True
        ):
            deviation, covariance = x - mpmath.matrix(mean.tolist()), mpmath.matrix(matrix.tolist())
            square = (deviation.T * mpmath.lu_solve(covariance, deviation))[0]
            scale = mpmath.sqrt(mpmath.det(2 * mpmath.pi * covariance))
            total += mpmath.mpf(float(weight)) * mpmath.exp(-square / 2) / scale
        return float(mpmath.log(total))


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("far", [1.0, 1e2, 1e5, 1e8])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_tails_are_exact(family, far, shift):
    """Against a hundred digits; also where all data lie far from zero."""
    mixture = drawn_mixture(3, 4, family)
    mixture = Mixture(mixture.weights, mixture.means + shift, mixture.covariances, family)
    rows = mixture.means[0] + far * np.random.default_rng(2).normal(size=(5, 4))
    expected = [exact_log_density(row, mixture) for row in rows]
    np.testing.assert_allclose(mixture.log_density(rows), expected, rtol=1e-12)


def test_posteriors_are_told_down_to_the_smallest_normal_numbers():
    mixture = Mixture([0.5, 0.5], [[0.0], [37.0]], [[1.0], [1.0]], "diag")
    (one, other), (all_of_it, none) = mixture.responsibilities([[0.0], [-1e3]])
    np.testing.assert_allclose([one, other], [1, np.exp(-(37**2) / 2)], rtol=1e-12)
    assert (all_of_it, none) == (1, 0)


@pytest.mark.parametrize("features", [2, LOOK_FROM_FEATURES])
def test_rows_whose_squares_overflow_lie_among_others(features):
    mixture = drawn_mixture(5, features, spread=6)
    rows = sampled(500, mixture)
    expected = said(rows, mixture)
    rows[77, 1], rows[300, 0] = 1e200, -1e160
    found = said(rows, mixture)
    others = np.delete(np.arange(500), [77, 300])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one[others], other[others])
        assert np.isfinite(one).all()
    assert (found.labels >= 0).all()
    assert (found.log_density[[77, 300]] < -1e250).all()


def test_no_rows_have_no_scores():
    found = said(np.empty((0, 3)), drawn_mixture(2, 3))
    assert [len(values) for values in found] == [0, 0, 0]
