"""`+` of statistics: associative, commutative, with a zero, and exact wherever the data lie."""

import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gmm_dask.mixture.covariance.layouts import OUTER, POOLED, SQUARES
from gmm_dask.mixture.statistics import SufficientStatistics, two_sum
from gmm_dask.mixture.sweep import sweep
from tests.mixture.problems import (
    FAMILY_NAMES,
    assert_alike,
    assert_same_bits,
    drawn_mixture,
    drawn_rows,
)

families = st.sampled_from(FAMILY_NAMES)
offsets = st.sampled_from([0.0, 1.0, -1e4, 1e8])
sizes = st.lists(st.integers(0, 40), min_size=3, max_size=3)


def three(family, sizes, offset, seed):
    mixture = drawn_mixture(3, 2, family, seed=seed)
    rows = drawn_rows(sum(sizes), mixture, seed) + offset
    moved = type(mixture)(mixture.weights, mixture.means + offset, mixture.covariances, family)
    blocks = np.split(rows, np.cumsum(sizes)[:-1])
    return [sweep(block, [moved])[0] for block in blocks], sweep(rows, [moved])[0]


@settings(deadline=None, max_examples=60)
@given(family=families, sizes=sizes, offset=offsets, seed=st.integers(0, 1000))
@example(family="full", sizes=[0, 0, 1], offset=0.0, seed=1)
def test_addition_is_associative_and_commutative(family, sizes, offset, seed):
    (a, b, c), together = three(family, sizes, offset, seed)
    if not sum(sizes):
        return
    assert_alike((a + b) + c, a + (b + c), 1e-12)
    assert_alike(a + b + c, c + b + a, 1e-12)
    assert_alike(a + b + c, together, 1e-12)


@settings(deadline=None, max_examples=20)
@given(family=families, offset=offsets, seed=st.integers(0, 1000))
def test_zero_changes_not_a_bit(family, offset, seed):
    (a, _, _), _ = three(family, [20, 0, 0], offset, seed)
    zero = SufficientStatistics.zero(3, 2, a.layout)
    assert_same_bits(a + zero, a)
    assert_same_bits(zero + a, a)
    assert (zero + zero).rows == 0


def test_statistics_are_what_they_are_called():
    random = np.random.default_rng(0)
    mixture, rows, weights = drawn_mixture(3, 2), random.normal(size=(50, 2)), random.random(50)
    (found,) = sweep(rows, [mixture], weights)
    members = mixture.responsibilities(rows) * weights[:, None]
    logs = np.log(mixture.responsibilities(rows))
    for k in range(3):
        np.testing.assert_allclose(found.means[k], np.average(rows, axis=0, weights=members[:, k]))
        empirical = np.cov(rows.T, aweights=members[:, k], ddof=0)
        np.testing.assert_allclose(found.scatter[k] / found.counts[k], empirical, rtol=1e-12)
    np.testing.assert_allclose(found.counts, members.sum(axis=0))
    assert found.log_likelihood == pytest.approx(weights @ mixture.log_density(rows))
    assert found.entropy == pytest.approx(-(members * logs).sum())
    assert found.log_max == pytest.approx(weights @ logs.max(axis=1))
    assert found.weight == pytest.approx(weights.sum())
    assert found.mean_log_likelihood == pytest.approx(found.log_likelihood / weights.sum())
    np.testing.assert_allclose(found.mean(), np.average(rows, axis=0, weights=weights))


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_variance_of_all_rows(family):
    rows = drawn_rows(100, drawn_mixture(3, 2))
    (found,) = sweep(rows, [drawn_mixture(3, 2, family)])
    np.testing.assert_allclose(found.variance(), rows.var(axis=0), rtol=1e-12)


def test_layouts_are_views_of_the_same_scatter():
    rows, random = np.random.default_rng(0).normal(size=(4, 3)), np.random.default_rng(1)
    weights = random.random(4)
    outer = OUTER.between(weights, rows)
    np.testing.assert_allclose(POOLED.between(weights, rows), outer.sum(axis=0))
    np.testing.assert_allclose(SQUARES.between(weights, rows), np.diagonal(outer, axis1=1, axis2=2))


@pytest.mark.parametrize("family", ["full", "tied"])
def test_scatter_is_symmetric_to_the_last_bit(family):
    mixture = drawn_mixture(3, 5, family)
    rows = drawn_rows(400, mixture)
    rows[:100] += 1e7
    for kernel in ("quadratic", "fused", "centred"):
        a, b = (sweep(part, [mixture], kernels=[kernel])[0] for part in np.split(rows, 2))
        scatter = (a + b).scatter
        assert (scatter == np.swapaxes(scatter, -1, -2)).all()


@pytest.mark.parametrize(("family", "share"), [("full", 0.53), ("diag", 1.2)])
def test_large_statistics_go_as_triangles(family, share):
    mixture = drawn_mixture(8, 96, family)
    (found,) = sweep(drawn_rows(300, mixture), [mixture])
    sent = pickle.dumps(found)
    assert len(sent) < share * found.scatter.nbytes + 4 * found.means.nbytes
    back = pickle.loads(sent)
    assert back.layout == found.layout
    for name in ("counts", "means", "remainders", "scatter"):
        assert getattr(back, name).tobytes() == getattr(found, name).tobytes()
    assert (back.log_likelihood, back.rows) == (found.log_likelihood, found.rows)


def test_a_component_without_rows_on_one_side():
    mixture = drawn_mixture(2, 2, spread=0)
    means = np.array([[0.0, 0.0], [1e4, 1e4]])
    apart = type(mixture)(mixture.weights, means, mixture.covariances)
    near, far = np.random.default_rng(0).normal(size=(2, 30, 2))
    a, b = (sweep(x, [apart], kernels=["centred"])[0] for x in (near, far + 1e4))
    np.testing.assert_allclose((a + b).means, [near.mean(axis=0), far.mean(axis=0) + 1e4])
    assert_alike(a + b, sweep(np.vstack([near, far + 1e4]), [apart], kernels=["centred"])[0])


def test_different_mixtures_do_not_add():
    rows = np.zeros((5, 2))
    statistics = [
        sweep(rows, [drawn_mixture(k, 2, family)])[0] for k, family in ((2, "full"), (3, "full"))
    ]
    with pytest.raises(ValueError, match="different mixtures"):
        statistics[0] + statistics[1]
    diagonal = sweep(rows, [drawn_mixture(2, 2, "diag")])[0]
    with pytest.raises(ValueError, match="different mixtures"):
        statistics[0] + diagonal


@given(
    st.floats(-1e200, 1e200, allow_subnormal=False), st.floats(-1e200, 1e200, allow_subnormal=False)
)
def test_two_sum_loses_nothing(a, b):
    from fractions import Fraction

    total, lost = two_sum(np.float64(a), np.float64(b))
    assert Fraction(float(total)) + Fraction(float(lost)) == Fraction(a) + Fraction(b)
