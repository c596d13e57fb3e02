"""Kernels are chosen by their error bound, and float32 is refused where its bound is too large."""

import numpy as np
import pytest

from gmm_dask.mixture.iteration import EMSettings, run, start
from gmm_dask.mixture.kernels.choice import (
    ALWAYS_CENTRED_FROM,
    CENTRED_FROM_FEATURES,
    FEW_FROM_FEATURES,
    PrecisionError,
    choose_kernels,
    error_bound,
)
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.kernels.look import components_left
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.stopping import Stopping
from gmm_dask.mixture.sweep import sweep
from tests.mixture.problems import FAMILY_NAMES, drawn_mixture, drawn_rows, over

EPS = np.finfo(float).eps


@pytest.fixture(params=["fused", "quadratic"])
def fastest(request, monkeypatch):
    """The kernel for few features: with numba, and with it switched off."""
    monkeypatch.setenv("GMM_DASK_NUMBA", "1" if request.param == "fused" else "0")
    return request.param


def apart(distance, width=1.0, d=2, family="full"):
    covariance = {"full": np.tile(np.eye(d), (2, 1, 1)), "diag": np.ones((2, d))}[family]
    means = np.vstack([np.zeros(d), np.eye(d)[0] * distance])
    return Mixture([0.5, 0.5], means, covariance * width**2, family)


@pytest.mark.parametrize("family", ["full", "diag"])
def test_kappa_is_the_squared_mahalanobis_distance_from_the_centre(family):
    for distance, width in ((10, 1), (10, 0.1), (1e6, 1)):
        mixture = apart(distance, width, family=family)
        expected = EPS * (distance / 2 / width) ** 2
        assert error_bound(Frame.of([mixture]), mixture) == pytest.approx(expected)


def test_the_choice_follows_the_bound(fastest):
    assert choose_kernels([apart(10)]) == (fastest,)
    assert choose_kernels([apart(1e5)]) == ("centred",)
    assert choose_kernels([apart(10, width=1e-4)]) == ("centred",)
    assert choose_kernels([apart(10)], "float32") == ("quadratic-float32",)
    assert choose_kernels([apart(200)], "float32") == (fastest,)
    assert choose_kernels([apart(1e5)], "float32") == ("centred",)


def test_each_mixture_of_a_pass_has_its_own_kernel(fastest):
    assert choose_kernels([apart(1), apart(1, width=1e-6)]) == (fastest, "centred")


@pytest.mark.parametrize(
    ("components", "features", "distance", "centred_beside"),
    [
        (1, FEW_FROM_FEATURES, 1, "fused"),  # thin products
        (1, FEW_FROM_FEATURES - 1, 1, ""),
        (2, CENTRED_FROM_FEATURES, 1, "fused quadratic"),
        (3, CENTRED_FROM_FEATURES, 1, "quadratic"),
        (20, CENTRED_FROM_FEATURES, 14, "quadratic"),  # a look sees them apart
        (20, CENTRED_FROM_FEATURES, 1, ""),
        (20, CENTRED_FROM_FEATURES - 1, 14, ""),
        (20, ALWAYS_CENTRED_FROM, 1, "quadratic"),  # features fall out of the caches
        (8, 200, 1, "fused quadratic"),
    ],
)
def test_where_the_centred_kernel_is_faster(
    components, features, distance, centred_beside, fastest
):
    weights = np.full(components, 1 / components)
    means = np.zeros((components, features))
    means[:, 0] = np.arange(components) * distance
    alike = np.broadcast_to(np.eye(features), (components, features, features))
    mixture = Mixture(weights, means, alike)
    assert choose_kernels([mixture]) == ("centred" if fastest in centred_beside else fastest,)
    assert choose_kernels([Mixture(weights, means, alike[:, 0] + 1, "diag")]) == (fastest,)


def test_a_look_leaves_what_it_sees_beside_a_row():
    features = 60
    means = np.zeros((6, features))
    means[:3, 0] = 0, 20, 20.5  # one alone, and two beside each other
    means[3:, -1] = 0, 20, 40  # which are apart where a look does not reach
    means[3:, 0] = -60
    weights = np.array([0.3, 0.2, 0.2, 0.1, 0.1, 0.1])
    mixture = Mixture(weights, means, np.broadcast_to(np.eye(features), (6, features, features)))
    expected = 0.3 * 1 + 0.4 * 2 + 0.3 * 3
    assert components_left(mixture) == pytest.approx(expected)


def test_the_bound_does_not_depend_on_where_the_data_lie():
    mixture = drawn_mixture(3, 2)
    far = Mixture(mixture.weights, mixture.means + 1e8, mixture.covariances)
    assert error_bound(Frame.of([far]), far) == pytest.approx(
        error_bound(Frame.of([mixture]), mixture), rel=1e-6
    )


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_float32_arithmetic_is_as_good_as_its_bound(family):
    mixture = drawn_mixture(3, 4, family)
    rows = drawn_rows(3000, mixture)
    (single,) = sweep(rows, [mixture], kernels=["quadratic-float32"])
    (double,) = sweep(rows, [mixture], kernels=["centred"])
    bound = 10 * error_bound(Frame.of([mixture]), mixture, "float32") + 1e-6
    assert bound < 1e-3
    np.testing.assert_allclose(single.counts, double.counts, rtol=bound)
    largest = np.abs(double.scatter).max()
    np.testing.assert_allclose(single.scatter / largest, double.scatter / largest, atol=bound)
    assert single.log_likelihood == pytest.approx(double.log_likelihood, rel=bound)
    assert single.counts.dtype == single.scatter.dtype == np.float64


def test_float32_arithmetic_is_refused_where_its_bound_is_too_large():
    rows, message = np.zeros((4, 2)), "float32 arithmetic could be wrong by .* use float64"
    good, bad = apart(20), apart(100)
    sweep(rows, [good], kernels=["quadratic-float32"])
    with pytest.raises(PrecisionError, match=message):
        sweep(rows, [bad], kernels=["quadratic-float32"])
    settings = EMSettings(Stopping(max_iter=1), arithmetic="float32")
    with pytest.raises(PrecisionError, match=message):
        run(over(rows), start([bad]), settings)


def test_a_fit_in_float32_goes_on_in_float64_where_it_must():
    random = np.random.default_rng(0)
    rows = np.vstack([random.normal(size=(200, 2)), random.normal(size=(200, 2)) * 1e-3 + [10, 0]])
    settings = EMSettings(Stopping(tol=None, max_iter=3), arithmetic="float32")
    state = run(over(rows), start([apart(10)]), settings)
    (candidate,) = state.candidates
    assert candidate.record.kernel in ("fused", "centred")
    assert np.sqrt(candidate.mixture.variances[1]) == pytest.approx(1e-3, rel=1)


def test_the_frame_scales_by_powers_of_two():
    mixture = drawn_mixture(3, 4)
    scale = Frame.of([mixture]).scale
    assert (np.exp2(np.round(np.log2(scale))) == scale).all()
    deviations = np.sqrt(mixture.variance)
    assert (scale / deviations <= 1.5).all()
    assert (scale / deviations >= 0.66).all()
