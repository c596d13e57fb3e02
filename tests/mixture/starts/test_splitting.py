"""Splits: a race of all finds the component that hides two, and none ends lower than it began."""

import numpy as np
import pytest

from gmm_dask.mixture.covariance import FAMILIES
from gmm_dask.mixture.iteration import EMSettings, run, start
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.starts.initial import Sample, from_responsibilities
from gmm_dask.mixture.starts.race import race, settled, statistics_of_sample
from gmm_dask.mixture.starts.splitting import splits
from gmm_dask.mixture.stopping import Stopping

CENTRES = np.array([[0, 0], [9, 0], [0, 9], [5, 9.0]])
LABELS = np.random.default_rng(3).integers(4, size=1200)
ROWS = CENTRES[LABELS] + np.random.default_rng(4).normal(size=(1200, 2))
MERGED = np.minimum(LABELS, 2)
"""The last two blobs under one label."""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_race_of_splits_finds_the_two_that_were_one(family):
    sample = Sample.of(ROWS)
    mixture = from_responsibilities(sample, np.eye(3)[MERGED], family, Regularisation())
    starts = splits(mixture)
    assert [one.components for one in starts] == [4, 4, 4]
    for one in starts:
        np.testing.assert_allclose(one.mean, mixture.mean, atol=1e-12)
    (winner,) = race(sample, starts, 1)
    found = settled(sample, winner).means
    assert np.abs(found[:, None] - CENTRES).sum(axis=2).min(axis=0).max() < 0.3


def test_a_split_that_has_settled_is_likelier_than_what_was_split():
    sample, settings = Sample.of(ROWS), EMSettings(Stopping(tol=1e-6))
    mixture = from_responsibilities(sample, np.eye(3)[MERGED], "full", Regularisation())
    statistics_of = statistics_of_sample(sample)
    before = run(statistics_of, start([mixture]), settings).best
    for split in splits(before.mixture):
        after = run(statistics_of, start([split]), settings).best
        assert after.mean_log_likelihood > before.mean_log_likelihood
