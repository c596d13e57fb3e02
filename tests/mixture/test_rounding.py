"""Rounded data: steps are found, and a component that has learnt the rounding wins nothing."""

from dataclasses import replace

import numpy as np
import pytest

from gmm_dask.mixture.covariance import FAMILIES
from gmm_dask.mixture.iteration import EMSettings, run, start
from gmm_dask.mixture.maximisation import WITHIN, maximise
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.rounding import steps_of
from gmm_dask.mixture.starts.initial import Sample
from gmm_dask.mixture.starts.race import race, statistics_of_sample
from gmm_dask.mixture.statistics import SufficientStatistics
from tests.mixture.problems import FAMILY_NAMES


def rows_of(seed: int = 0, count: int = 600) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3)) * [1, 20, 1e-3]


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_steps_are_those_that_values_were_rounded_to(kind):
    rows = rows_of()
    rows[:, 0], rows[:, 1] = rows[:, 0].round(1), rows[:, 1].round()
    assert steps_of(rows.astype(kind)) == pytest.approx((0.1, 1, 0), rel=1e-5)
    assert steps_of(rows_of()) == ()
    assert steps_of(np.ones((5, 2))) == ()
    assert steps_of(rows[:1]) == ()


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize(("share", "thin"), [(0.49, True), (0.51, False)])
def test_whose_smallest_variance_is_half_of_what_rounding_gives_is_told(family, share, thin):
    step = 0.1
    variance = share * step**2 / 12
    turned = np.array([[0.6, 0.8], [-0.8, 0.6]])
    matrix = np.diag([0, 0, 1e12])  # beside a feature that is not rounded
    matrix[:2, :2] = turned * [variance, 1] @ turned.T
    scatter = {
        "full": 50 * np.stack([matrix, np.eye(3)]),
        "tied": 100 * matrix,
        "diag": 50 * np.array([[variance, 1, 1e12], [1, 1, 1]]),
        "spherical": 50 * np.array([[variance] * 3, [1, 1, 1]]),
    }[family]
    statistics = replace(
        SufficientStatistics.zero(2, 3, FAMILIES[family].layout),
        counts=np.full(2, 50.0),
        means=np.eye(2, 3),
        scatter=scatter,
        rows=100,
        weight=100.0,
    )
    found = maximise(statistics, family, Regularisation(0, steps=(step, step, 0)))
    whose = None if family == "tied" else 0
    assert [(e.component, e.kind) for e in found.resting] == [(whose, WITHIN)] * thin
    assert not maximise(statistics, family, Regularisation(0)).resting


def test_a_component_within_the_rounding_wins_no_race():
    rows = np.random.default_rng(1).normal(size=(400, 2)).round(1)
    line = rows[rows[:, 0] == 0.3]
    narrow = Mixture(
        [0.9, 0.1],
        [[0, 0], line.mean(axis=0)],
        [np.eye(2), np.diag([1e-5, line[:, 1].var()])],
    )
    broad = Mixture([0.5, 0.5], [[-0.5, 0], [0.5, 0]], [np.eye(2)] * 2)
    settings = EMSettings().for_rows(rows, float(len(rows)))
    likeliest, sound = (
        run(statistics_of_sample(Sample.of(rows)), start([one]), settings).best
        for one in (narrow, broad)
    )
    assert likeliest.mean_log_likelihood > sound.mean_log_likelihood + 0.01
    assert [event.component for event in likeliest.degenerate if event.kind == WITHIN] == [1]
    both = run(statistics_of_sample(Sample.of(rows)), start([narrow, broad]), settings)
    assert both.best.mean_log_likelihood == sound.mean_log_likelihood
    (winner,) = race(Sample.of(rows), [narrow, broad], 1, settings)
    assert winner.variances.min() > 0.1
