"""The centred kernel's first look: the same sums for less work, and given up where it is none."""

import numpy as np
import pytest

from gmm_dask.mixture.kernels.centred import CentredKernel
from gmm_dask.mixture.kernels.look import RULED_OUT, Look
from gmm_dask.mixture.parameters import Mixture
from tests.mixture.problems import assert_alike, assert_same_bits

FEATURES, COMPONENTS, ROWS = 40, 5, 900


def apart(distance, family="full", width=1.0):
    """Components of random shapes, so far apart; and rows of them."""
    random = np.random.default_rng(1)
    noise = random.normal(size=(COMPONENTS, FEATURES, 3 * FEATURES))
    covariances = noise @ noise.transpose(0, 2, 1) / (3 * FEATURES)
    if family == "tied":
        covariances = covariances[0]
    means = random.normal(size=(COMPONENTS, FEATURES)) * distance
    weights = np.arange(1, COMPONENTS + 1) / sum(range(1, COMPONENTS + 1))
    mixture = Mixture(weights, means, covariances * width**2, family)
    return mixture, mixture.sample(ROWS, random)[0]


def added(mixture, rows, *, looking, weights=None):
    """A kernel after these rows."""
    kernel = CentredKernel(mixture)
    assert kernel.look is not None
    if not looking:
        kernel.look = None
    for first in range(0, len(rows), kernel.step):
        some = slice(first, first + kernel.step)
        assert kernel.add(rows[some], None if weights is None else weights[some])
    return kernel


@pytest.mark.parametrize("family", ["full", "tied"])
@pytest.mark.parametrize("distance", [0.0, 0.3, 1.0, 3.0, 30.0])
def test_sums_are_the_same_with_a_look_and_without(family, distance):
    mixture, rows = apart(distance, family)
    weights = np.random.default_rng(2).random(ROWS)
    looked = added(mixture, rows, looking=True, weights=weights)
    plain = added(mixture, rows, looking=False, weights=weights)
    (a,), (b,) = looked.statistics(), plain.statistics()
    assert_alike(a, b, 1e-13)
    assert (looked.look is None) == (distance < 2), "given up where components overlap"


def test_what_is_ruled_out_is_bounded_from_above():
    mixture, rows = apart(3.0)
    kernel = CentredKernel(mixture)
    found, logs = kernel._logs_after(kernel.look, rows), kernel._logs(rows)
    ruled_out = logs < logs.max(axis=0) + RULED_OUT
    assert ruled_out.mean() > 0.7
    assert_same_bits(found.argmax(axis=0), logs.argmax(axis=0))
    np.testing.assert_allclose(found[~ruled_out], logs[~ruled_out], rtol=1e-13)
    assert (found[ruled_out] >= logs[ruled_out] - 1e-9).all()
    assert (found < found.max(axis=0) + RULED_OUT + 1e-9)[ruled_out].all()


def test_rows_too_far_for_a_look_are_seen_in_full():
    mixture, rows = apart(3.0)
    rows[7] = 1e150
    looked = added(mixture, rows, looking=True)
    plain = added(mixture, rows, looking=False)
    assert_same_bits(*(kernel.statistics()[0].counts for kernel in (looked, plain)))
    assert np.isfinite(looked.statistics()[0].log_likelihood)


def test_no_look_is_taken_where_it_would_be_blurred_or_of_little_use():
    mixture, _ = apart(3.0, width=1e-9)
    assert Look.at(mixture) is None
    few = Mixture(np.full(3, 1 / 3), np.eye(3), np.stack([np.eye(3)] * 3))
    assert Look.at(few) is None
