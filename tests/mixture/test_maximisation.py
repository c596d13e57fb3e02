"""M-steps: the family's formula, floors, and what becomes of degenerate components."""

from dataclasses import replace

import numpy as np
import pytest

from gmm_dask.mixture.covariance.layouts import OUTER, POOLED, SQUARES
from gmm_dask.mixture.iteration import run, start
from gmm_dask.mixture.maximisation import (
    DegenerateComponentError,
    longest_axis,
    maximise,
    smallest_variances,
)
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.sweep import sweep, sweep_labels
from tests.mixture.problems import FAMILY_NAMES, drawn_mixture, drawn_rows, over, plain

LAYOUTS = {"full": OUTER, "tied": POOLED, "diag": SQUARES, "spherical": SQUARES}
GENTLE = Regularisation(reg_covar=0)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_reg_covar_is_added_to_every_variance(family):
    mixture = drawn_mixture(3, 2, family)
    (statistics,) = sweep(drawn_rows(200, mixture), [mixture])
    bare = maximise(statistics, family, GENTLE).mixture
    raised = maximise(statistics, family, Regularisation(reg_covar=0.5)).mixture
    added = 0.5 * np.eye(2)
    np.testing.assert_allclose(raised.matrices, bare.matrices + added, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(raised.means, bare.means)


def labelled(family, rows=60, collapsed=True):
    """Three components; the last has one row, or many that are all alike."""
    random = np.random.default_rng(0)
    data = random.normal(size=(rows, 3)) * [1, 10, 100]
    labels = random.integers(2, size=rows)
    alone = slice(0, 20) if collapsed else slice(0, 1)
    data[alone], labels[alone] = [3.0, 4.0, 5.0], 2
    return sweep_labels(data, labels, 3, LAYOUTS[family])


@pytest.mark.parametrize("family", ["full", "diag", "spherical"])
@pytest.mark.parametrize(("collapsed", "kind"), [(True, "collapsed"), (False, "starved")])
class TestPolicies:
    def test_floor(self, family, collapsed, kind):
        found = maximise(labelled(family, collapsed=collapsed), family, GENTLE)
        assert (2, kind) in {(e.component, e.kind) for e in found.events}
        assert {e.component for e in found.events} == {2}
        assert found.mixture.components == 3
        assert np.isfinite(found.mixture.log_density(np.zeros((1, 3)))).all()
        assert (found.mixture.variances[2] > 0).all()

    def test_drop(self, family, collapsed, kind):
        policy = Regularisation(0, degenerate="drop")
        found = maximise(labelled(family, collapsed=collapsed), family, policy)
        assert kind in {e.kind for e in found.events}
        assert found.mixture.components == 2
        assert found.mixture.weights.sum() == pytest.approx(1)

    def test_reseed(self, family, collapsed, kind):
        policy = Regularisation(0, degenerate="reseed")
        statistics = labelled(family, collapsed=collapsed)
        floored = maximise(statistics, family, GENTLE).mixture
        found = maximise(statistics, family, policy)
        heavy = int(floored.weights[:2].argmax())
        assert kind in {e.kind for e in found.events}
        assert found.mixture.weights[2] == found.mixture.weights[heavy]
        axis = longest_axis(floored, heavy)
        apart = found.mixture.means[heavy] - found.mixture.means[2]
        np.testing.assert_allclose(apart, axis)
        np.testing.assert_array_equal(found.mixture.matrices[2], floored.matrices[heavy])

    def test_error(self, family, collapsed, kind):
        policy = Regularisation(0, degenerate="error")
        with pytest.raises(DegenerateComponentError, match=r"component 2 is .*reg_covar"):
            maximise(labelled(family, collapsed=collapsed), family, policy)
        assert kind


@pytest.mark.parametrize("policy", ["floor", "reseed", "drop", "error"])
@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize(("variance", "rests"), [(0.99e-6, True), (1.01e-6, False)])
def test_whose_smallest_variance_is_mostly_reg_covar_is_told_and_left_alone(
    family, policy, variance, rests
):
    turned = np.array([[0.6, 0.8], [-0.8, 0.6]])
    matrix = np.diag([0, 0, 1e12])  # beside a feature in another unit altogether
    matrix[:2, :2] = turned * [variance, 1] @ turned.T
    scatter = {
        "full": 50 * np.stack([matrix, np.eye(3)]),
        "tied": 100 * matrix,
        "diag": 50 * np.array([[variance, 1, 1e12], [1, 1, 1]]),
        "spherical": 50 * np.array([[variance] * 3, [1, 1, 1]]),
    }[family]
    means = np.array([[0.0, 0, 0], [1, 1, 1]])
    statistics = replace(
        SufficientStatistics.zero(2, 3, LAYOUTS[family]),
        counts=np.full(2, 50.0),
        means=means,
        scatter=scatter,
        rows=100,
        weight=100.0,
    )
    found = maximise(statistics, family, Regularisation(1e-6, degenerate=policy))
    floored = maximise(statistics, family, Regularisation(1e-6))
    whose = None if family == "tied" else 0
    assert [event.component for event in found.resting] == [whose] * rests
    assert not found.events
    np.testing.assert_array_equal(found.mixture.covariances, floored.mixture.covariances)


@pytest.mark.parametrize("policy", ["floor", "reseed", "drop", "error"])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_sound_components_are_left_alone(policy, family):
    mixture = drawn_mixture(3, 2, family)
    (statistics,) = sweep(drawn_rows(300, mixture), [mixture])
    found = maximise(statistics, family, Regularisation(0, degenerate=policy))
    assert not found.events
    np.testing.assert_array_equal(found.mixture.means, statistics.means)


def test_where_all_components_are_degenerate_none_is_dropped():
    statistics = sweep_labels(np.ones((4, 2)), [0, 0, 1, 1], 2)
    found = maximise(statistics, "full", Regularisation(0, degenerate="drop"))
    assert found.mixture.components == 2


def test_a_component_without_any_rows():
    statistics = sweep_labels(np.random.default_rng(0).normal(size=(30, 2)), [0] * 30, 2)
    found = maximise(statistics, "full", GENTLE)
    assert found.mixture.weights[1] > 0
    assert ("starved", 1) in {(e.kind, e.component) for e in found.events}


def test_the_count_of_rows_is_that_of_the_data_whatever_the_weights_scale():
    rows = np.random.default_rng(0).normal(size=(30, 2))
    for factor in (1e-9, 1.0, 1e9):
        statistics = sweep_labels(rows, [0] * 28 + [1] * 2, 2, weights=np.full(30, factor))
        events = maximise(statistics, "full", GENTLE).events
        assert next(e.kind for e in events if e.component == 1) == "starved"
        assert "2 rows" in events[0].reason


def test_the_floor_is_what_float64_can_tell_apart():
    rows = 1e8 + np.random.default_rng(0).normal(size=(50, 2))
    statistics = sweep_labels(rows, [0] * 50, 1)
    resolution = (np.finfo(float).eps * 1e8) ** 2
    floor = smallest_variances(statistics, Regularisation(0, relative_floor=1e-30))
    np.testing.assert_allclose(floor, resolution, rtol=1e-6)
    floor = smallest_variances(statistics, Regularisation(0, relative_floor=1e-3))
    np.testing.assert_allclose(floor, 1e-3 * rows.var(axis=0), rtol=1e-6)


def test_no_rows_at_all():
    with pytest.raises(ValueError, match="nothing to fit"):
        maximise(SufficientStatistics.zero(2, 2, OUTER), "full")


@pytest.mark.parametrize(
    "wrong",
    [{"reg_covar": -1}, {"reg_covar": float("inf")}, {"relative_floor": 0}, {"degenerate": "ask"}],
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Regularisation(**wrong)


def spoiled(name):
    random = np.random.default_rng(0)
    rows = random.normal(size=(200, 3))
    if name == "duplicated rows":
        rows[:150] = rows[0]
    elif name == "constant column":
        rows[:, 1] = 7
    elif name == "all rows alike":
        rows[:] = [1, 2, 3]
    elif name == "all rows alike at 1e8":
        rows[:] = [1e8, -1e8, 1e8 + 1]
    elif name == "collinear":
        rows[:, 2] = rows[:, 0] + rows[:, 1]
    elif name == "an outlier at 1e9":
        rows[5] = 1e9
    elif name == "fewer distinct rows than components":
        rows = rows[random.integers(3, size=200)]
    elif name == "zeros":
        rows[:] = 0
    return rows


SPOILED = (
    "duplicated rows", "constant column", "all rows alike", "all rows alike at 1e8", "collinear",
    "an outlier at 1e9", "fewer distinct rows than components", "zeros",
)  # fmt: skip


@pytest.mark.parametrize("policy", ["floor", "reseed", "drop"])
@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("name", SPOILED)
@pytest.mark.parametrize("reg_covar", [0, 1e-6])
def test_spoiled_data_end_finite_and_recorded(name, family, policy, reg_covar):
    rows = spoiled(name)
    begin = drawn_mixture(5, 3, family)
    begin = Mixture(begin.weights, rows[:5] + 0.1 * begin.means, begin.covariances, family)
    settings = plain(15, reg_covar, policy)
    (candidate,) = run(over(rows[:90], rows[90:]), start([begin]), settings).candidates
    assert candidate.reason == "max_iter: 15 iterations are done"
    assert np.isfinite(candidate.mean_log_likelihood)
    mixture = candidate.mixture
    for values in (mixture.weights, mixture.means, mixture.covariances, mixture.precisions):
        assert np.isfinite(values).all()
    assert np.isfinite(mixture.log_density(rows)).all()


@pytest.mark.parametrize("family", ["full", "diag"])
def test_more_components_than_distinct_points_is_recorded(family):
    rows = np.repeat(np.eye(3), 20, axis=0)
    begin = Mixture(
        np.full(5, 0.2),
        np.random.default_rng(0).normal(size=(5, 3)),
        np.tile(np.eye(3), (5, 1, 1)) if family == "full" else np.ones((5, 3)),
        family,
    )
    (candidate,) = run(over(rows), start([begin]), plain(60)).candidates
    assert {e.kind for e in candidate.degenerate} >= {"collapsed"}
    assert np.isfinite(candidate.mean_log_likelihood)
