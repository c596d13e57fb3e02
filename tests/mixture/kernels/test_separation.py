"""A first look in compiled loops: when it is taken, what it leaves, and that nothing is lost."""

import numpy as np
import pytest

from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.kernels.fused import FusedKernel
from gmm_dask.mixture.kernels.separation import SEPARATED_FROM_FEATURES, Separation
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.sweep import sweep
from tests.mixture.problems import assert_alike, assert_same_bits, drawn_mixture


def sampled(n, mixture):
    return mixture.sample(n, np.random.default_rng(1))[0]


def looked(mixtures, rows, weights=None):
    """The statistics, and how many of the rows were done by a look."""
    kernel, left = FusedKernel(mixtures, Frame.of(mixtures)), []
    whole = kernel._add_whole

    def add_whole(rest, *others):
        left.append(len(rest))
        whole(rest, *others)

    kernel._add_whole = add_whole
    assert kernel.add(rows, weights)
    return tuple(kernel.statistics()), len(rows) - left[0]


@pytest.mark.parametrize("kind", [float, np.float32])
@pytest.mark.parametrize(
    ("family", "d", "k", "n"),
    [
        ("full", SEPARATED_FROM_FEATURES, 40, 3000),
        ("full", 33, 12, 2777),
        ("tied", 40, 25, 2000),
        ("full", 66, 9, 1500),
        ("full", 33, 12, 20),
    ],
)
def test_the_sums_are_those_of_all_pairs(family, d, k, n, kind):
    """Also of several mixtures at once, of rows that weigh little or nothing, of a component that
    all rows of a span belong to, and of rows that lie between components."""
    mixture = drawn_mixture(k, d, family, spread=6)
    wider = Mixture(mixture.weights[::-1], mixture.means, 1.3 * mixture.covariances, family)
    others = [mixture, wider]
    rows = sampled(n, mixture)
    rows[n // 2 : n // 2 + 700] = rows[n // 2]
    share = np.linspace(0.3, 0.7, len(rows[1::60]))[:, None]
    rows[1::60] = share * mixture.means[0] + (1 - share) * mixture.means[1]
    rows = rows.astype(kind)
    weights = np.random.default_rng(1).random(n) * np.where(np.arange(n) % 7, 1, 1e-60)
    weights[::11] = 0
    for some, given in (([mixture], None), ([mixture], weights), (others, weights)):
        found, done = looked(some, rows, given)
        assert done == n
        expected = sweep(rows, some, given, ["quadratic"] * len(some))
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other, 1e-12)


def test_few_pairs_are_worked_out(monkeypatch):
    """Where everything is said to be out of reach, rows between components lose one of the two."""
    mixture = drawn_mixture(12, 33, "tied", spread=6)
    between = (mixture.means[0] + mixture.means[1]) / 2
    rows = sampled(2000, mixture)
    rows[1::60] = between + np.random.default_rng(0).normal(size=rows[1::60].shape) / 100
    (found,), done = looked([mixture], rows)
    assert done == 2000
    monkeypatch.setattr("gmm_dask.mixture.kernels.fused.RULED_OUT", -1e-9)
    (alone,), _ = looked([mixture], rows)
    (expected,) = sweep(rows, [mixture], kernels=["quadratic"])
    assert_alike(found, expected, 1e-12)
    assert abs(alone.counts - expected.counts).max() > 0.5


def test_rows_that_a_look_leaves_too_many_components_of_are_swept_as_a_whole():
    """From the span on that has them: what came before stays, and no look is taken afterwards."""
    mixture = drawn_mixture(12, 33, spread=6)
    frame = Frame.of([mixture])
    near = sampled(1000, mixture)
    far = np.random.default_rng(0).normal(size=(3000, 33)) * 30
    kernel = FusedKernel([mixture], frame)
    assert kernel.separation is not None
    assert kernel.add(np.vstack([near, far]), None)
    assert kernel.separation is None
    assert kernel.add(near, None)
    (found,) = kernel.statistics()
    (expected,) = sweep(np.vstack([near, far, near]), [mixture], kernels=["quadratic"])
    assert_alike(found, expected, 1e-12)
    _, done = looked([mixture], np.vstack([near, far]))
    assert 0 < done < 4000


def test_rows_so_far_out_that_squares_overflow_are_left_to_the_centred_kernel():
    mixture = drawn_mixture(12, 33, spread=6)
    for place in (0, 32):  # seen by a look, and not
        rows = sampled(900, mixture)
        rows[500, place] = 1e149
        rows[501, place] = -1e160
        found = sweep(rows, [mixture], kernels=["fused"])
        assert_same_bits(found, sweep(rows, [mixture], kernels=["centred"]))


def test_the_same_rows_give_the_same_bits_in_either_type_and_wherever_they_lie():
    mixture = drawn_mixture(12, 34, spread=6)
    single = sampled(1111, mixture).astype(np.float32)
    expected, done = looked([mixture], single)
    assert done == 1111
    assert_same_bits(looked([mixture], single.astype(float))[0], expected)
    moved = np.empty(single.size + 1, np.float32)[1:].reshape(single.shape)
    moved[:] = single
    assert_same_bits(looked([mixture], moved)[0], expected)


@pytest.mark.parametrize(
    ("mixture", "pays"),
    [
        (drawn_mixture(12, 33, spread=6), True),
        (drawn_mixture(12, 33, spread=0.5), False),
        (drawn_mixture(12, 33, "diag", spread=6), False),
        (drawn_mixture(40, SEPARATED_FROM_FEATURES - 1, spread=6), False),
        (drawn_mixture(1, 33, spread=6), False),
    ],
)
def test_it_is_taken_where_it_leaves_few_components(mixture, pays):
    chosen = Separation.of([mixture], Frame.of([mixture]))
    assert (chosen is not None) == pays
    if chosen is not None:
        assert chosen.seen < mixture.features
        assert 1 < chosen.most < mixture.components
