"""Moves: what is missed least is taken away, and EM's worse optima are left for better ones."""

import numpy as np
import pytest

from gmm_dask import Configuration, fit
from gmm_dask.mixture.covariance import FAMILIES
from gmm_dask.mixture.covariance.layouts import POOLED
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.starts.initial import Sample, initial_mixture
from gmm_dask.mixture.starts.moves import improved, missed, moves
from gmm_dask.mixture.starts.race import settled

CENTRES = np.array([[0, 0], [12, 0], [0, 12], [12, 12], [6, 30], [30, 6.0]])
LABELS = np.random.default_rng(1).integers(6, size=1800)
ROWS = CENTRES[LABELS] + np.random.default_rng(2).normal(size=(1800, 2))


def trapped(family: str) -> Mixture:
    """Two components in the first blob, one over two others."""
    means = CENTRES.copy()
    means[0], means[1], means[2:4] = [0, 1], [0, -1], [[6, 12], [12, 0]]
    kind = FAMILIES[family]
    unit = np.ones((6, 2)) if kind.layout.diagonal else np.tile(np.eye(2), (6, 1, 1))
    scatter = unit.sum(axis=0) if kind.layout == POOLED else unit
    return Mixture(np.full(6, 1 / 6), means, kind.maximise(np.ones(6), scatter), family)


@pytest.mark.parametrize("family", FAMILIES)
def test_moves_leave_an_optimum_that_em_stays_in(family):
    sample = Sample.of(ROWS)
    alone, moved = settled(sample, trapped(family)), improved(sample, trapped(family))
    assert moved.log_density(ROWS).mean() > alone.log_density(ROWS).mean() + 0.1
    assert np.abs(moved.means[:, None] - CENTRES).sum(axis=2).min(axis=0).max() < 0.4


def test_what_is_missed_is_the_likelihood_without_it():
    mixture = settled(Sample.of(ROWS), trapped("full"))
    weights = np.random.default_rng(3).uniform(0.5, 2, len(ROWS))
    joint = mixture.log_joint(ROWS)
    whole = np.logaddexp.reduce(joint, axis=1)
    for k, loss in enumerate(missed(mixture, Sample.of(ROWS, weights))):
        left = np.logaddexp.reduce(np.delete(joint, k, axis=1), axis=1)
        near = whole - left < 30  # beyond, nothing of 1 − r is left in float64
        if near.all():
            assert loss == pytest.approx(float(weights @ (whole - left)), rel=1e-6)
    assert missed(mixture, Sample.of(ROWS)).argmin() in (0, 1)


def test_one_component_has_nowhere_to_go():
    sample = Sample.of(ROWS)
    one = initial_mixture(sample, 1, "full", np.random.default_rng(0))
    assert moves(one, sample) == []
    assert np.allclose(improved(sample, one).means, ROWS.mean(axis=0))


@pytest.mark.parametrize("seed", range(4))
def test_a_fit_that_is_asked_for_them_ends_no_lower_and_once_higher(seed):
    random = np.random.default_rng(11)
    centres = random.normal(size=(14, 3)) * 5
    rows = centres[random.integers(14, size=2000)] + random.normal(size=(2000, 3))
    plain, moved = (
        fit(rows, Configuration(14, init=init, seed=seed)).mean_log_likelihood
        for init in ("kmeans", "split-and-merge")
    )
    assert moved >= plain - 1e-3
    best = fit(rows, Configuration(14, init="kmeans", seed=1, n_init=30, finalists=2))
    assert moved >= best.mean_log_likelihood - 5e-3
