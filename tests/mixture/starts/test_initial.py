"""Starts: normalised, not degenerate, reproducible, and raced."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.mixture.covariance import FAMILIES
from gmm_dask.mixture.covariance.layouts import OUTER
from gmm_dask.mixture.iteration import EMSettings, run, start
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.starts import METHODS
from gmm_dask.mixture.starts.initial import (
    Sample,
    from_parameters,
    from_statistics,
    initial_mixture,
)
from gmm_dask.mixture.starts.race import race, statistics_of_sample
from gmm_dask.mixture.starts.seeding import drawn, k_means
from gmm_dask.mixture.stopping import Stopping
from gmm_dask.mixture.sweep import sweep_labels


def blobs(seed: int = 0, rows: int = 900) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(3, size=rows)
    centres = np.array([[0, 0], [8, 0], [0, 8]])
    return centres[labels] + random.normal(size=(rows, 2)), labels


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    method=st.sampled_from(tuple(METHODS)),
    family=st.sampled_from(list(FAMILIES)),
    components=st.integers(1, 6),
    distinct=st.integers(1, 30),
)
def test_starts_are_sound_whatever_the_rows(seed, method, family, components, distinct):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(distinct, 3))[random.integers(distinct, size=40)]
    rows[:, 1] = 5  # a constant feature
    weights = random.integers(0, 3, size=40).astype(float)
    weights[:10] = 1
    mixture = initial_mixture(Sample.of(rows, weights), components, family, random, method)
    assert mixture.components == components
    assert mixture.weights.sum() == pytest.approx(1)
    assert mixture.weights.min() > 1e-6
    assert np.isfinite(mixture.log_density(rows)).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_generator_decides_everything(method):
    rows, _ = blobs()
    first, again, other = (
        initial_mixture(Sample.of(rows), 3, "full", np.random.default_rng(seed), method)
        for seed in (7, 7, 8)
    )
    assert np.array_equal(first.means, again.means)
    if method.startswith("random"):  # the others find the same three blobs from any seed
        assert not np.array_equal(first.means, other.means)


def test_k_means_finds_separate_blobs_in_any_units():
    rows, labels = blobs()
    for units in ([1, 1], [1e6, 1e-6]):
        mixture = initial_mixture(
            Sample.of(rows * units), 3, "diag", np.random.default_rng(1), "kmeans"
        )
        found = mixture.means / units
        truth = np.array([rows[labels == k].mean(axis=0) for k in range(3)])
        assert np.abs(found[:, None] - truth).sum(axis=2).min(axis=0).max() < 0.05


def test_weight_zero_equals_absence_and_two_equals_twice():
    rows, _ = blobs(rows=60)
    weights = np.repeat([0.0, 1.0, 2.0], 20)
    repeated = np.repeat(rows, weights.astype(int), axis=0)
    one, two = (
        from_statistics(sweep_labels(x, np.arange(len(x)) * 0, 1, OUTER, w), "full")
        for x, w in ((rows, weights), (repeated, None))
    )
    np.testing.assert_allclose(one.covariances, two.covariances, rtol=1e-12)


def test_labels_of_all_rows_give_the_class_moments():
    rows, labels = blobs()
    mixture = from_statistics(sweep_labels(rows, labels, 3, OUTER), "full")
    for k in range(3):
        np.testing.assert_allclose(mixture.means[k], rows[labels == k].mean(axis=0), rtol=1e-12)
        expected = np.cov(rows[labels == k].T, bias=True) + 1e-6 * np.eye(2)
        np.testing.assert_allclose(mixture.covariances[k], expected, rtol=1e-10)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_component_with_too_few_labels_borrows_extent(family):
    rows, _ = blobs()
    labels = np.zeros(len(rows), dtype=int)
    labels[0] = 1
    layout = FAMILIES[family].layout
    mixture = from_statistics(sweep_labels(rows, labels, 3, layout), family)
    assert mixture.weights.min() > 0
    assert mixture.variances.min() > 1


def test_given_parameters_are_kept_and_the_rest_follows():
    rows, _ = blobs()
    sample, means = Sample.of(rows), np.array([[0.0, 0], [8, 0], [0, 8]])
    random = np.random.default_rng(0)
    mixture = from_parameters(sample, 3, "full", random, means=means)
    assert np.array_equal(mixture.means, means)
    assert mixture.variances.max() < 2
    precisions = np.tile(np.array([[2.0, 0.5], [0.5, 1]]), (3, 1, 1))
    mixture = from_parameters(
        sample, 3, "full", random, weights=[0.2, 0.3, 0.5], precisions=precisions
    )
    assert np.array_equal(mixture.weights, [0.2, 0.3, 0.5])
    np.testing.assert_allclose(mixture.precisions, precisions, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"means": np.zeros((2, 2))}, "means should have shape"),
        ({"weights": [0.5, 0.5, 0.5]}, "sum to 1"),
        ({"precisions": np.full((3, 2, 2), np.nan)}, "finite"),
        ({"precisions": -np.tile(np.eye(2), (3, 1, 1))}, "not positive definite"),
        ({"method": "guess"}, "unknown initialisation 'guess'"),
    ],
)
def test_bad_parameters_are_refused_in_one_sentence(arguments, message):
    rows, _ = blobs()
    with pytest.raises(ValueError, match=message):
        from_parameters(Sample.of(rows), 3, "full", np.random.default_rng(0), **arguments)


def test_more_components_than_rows_are_refused():
    with pytest.raises(ValueError, match="4 components need at least as many rows"):
        initial_mixture(Sample.of(np.zeros((3, 1))), 4, "diag", np.random.default_rng(0))


@pytest.mark.parametrize("rows", [1, 7, 300])
def test_rows_are_drawn_as_numpy_draws_them(rows):
    for seed in range(50):
        mass = np.random.default_rng(seed).exponential(size=rows) ** 8
        mass[np.random.default_rng(seed).uniform(size=rows) < 0.3] = 0
        mass[seed % rows] = 1.0
        chosen = np.random.default_rng(seed).choice(rows, size=5, p=mass / mass.sum())
        assert drawn(mass, 5, np.random.default_rng(seed)).tolist() == chosen.tolist()


def test_k_means_fills_empty_clusters():
    rows = np.repeat([[0.0], [1.0], [9.0]], 10, axis=0)
    centres = k_means(rows, np.ones(30), 3, np.random.default_rng(2))
    assert sorted(centres.ravel()) == [0, 1, 9]


def test_the_race_keeps_the_best_of_many_starts():
    random = np.random.default_rng(5)
    truth = random.normal(size=(9, 2)) * 6
    rows = truth[random.integers(9, size=1500)] + random.normal(size=(1500, 2))
    sample, stopping = Sample.of(rows), EMSettings(Stopping(tol=1e-6, max_iter=200))
    starts = [initial_mixture(sample, 9, "full", random, "random_from_data") for _ in range(12)]
    kept = race(sample, starts, 2, stopping)
    assert len(kept) == 2
    assert all(isinstance(mixture, Mixture) for mixture in kept)

    def final(mixture: Mixture) -> float:
        return run(
            statistics_of_sample(sample), start([mixture]), stopping
        ).best.mean_log_likelihood

    every = sorted((final(mixture) for mixture in starts), reverse=True)
    assert final(kept[0]) >= every[2] - 1e-3  # among the best of the twelve
