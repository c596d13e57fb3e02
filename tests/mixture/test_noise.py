"""Noise beside the Gaussians: by the formulas, row by row, and by R's mclust."""

import json
import pickle
from dataclasses import replace
from itertools import pairwise
from math import exp, fsum, log, pi

import numpy as np
import pytest
from scipy.special import logsumexp

from gmm_dask.mixture.acceleration.chart import Chart, as_vector
from gmm_dask.mixture.arrays import fixed
from gmm_dask.mixture.compilation import SWITCH
from gmm_dask.mixture.covariance import family_named
from gmm_dask.mixture.criteria import bic
from gmm_dask.mixture.identities import verify
from gmm_dask.mixture.iteration import iterate, run, start
from gmm_dask.mixture.kernels import Kernel
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.kernels.fused import FusedKernel
from gmm_dask.mixture.maximisation import maximise
from gmm_dask.mixture.noise import Noise, asked, inverse_volume, noise_text
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.prior import Prior
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.starts.dense_rows import dense_rows, log_densities
from gmm_dask.mixture.starts.initial import Sample, from_statistics
from gmm_dask.mixture.starts.moves import missed, moves
from gmm_dask.mixture.stopping import Stopping
from gmm_dask.mixture.sweep import sweep, sweep_labels
from tests.mixture.mclust_noise import KEPT, tables
from tests.mixture.problems import (
    EVERY_FAMILY,
    FAMILY_NAMES,
    assert_alike,
    drawn_mixture,
    over,
    plain,
)

TRUTH = json.loads(KEPT.read_text())
TABLES = {name: (rows, labels) for name, rows, labels in tables()}
SIZES = ((3, 1), (4, 3), (1, 2), (5, 18), (4, 36))
"""Components and features: the last two are looked at before they are worked out."""


def beside(mixture: Mixture, weight: float = 0.2, reach: float = 8.0) -> Mixture:
    box = np.array([[-reach] * mixture.features, [reach + 1] * mixture.features])
    density = -mixture.features * log(2 * reach + 1)
    return mixture.beside(Noise(weight, density, fixed(box)))


def row_by_row(mixture: Mixture, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log p(x) and responsibilities, that of noise last, as they are defined."""
    inverses, determinants = np.linalg.inv(mixture.matrices), np.linalg.det(mixture.matrices)
    densities, posteriors = [], []
    for x in rows:
        logs = []
        for k, weight in enumerate(mixture.weights):
            off = x - mixture.means[k]
            distance = off @ inverses[k] @ off
            logs.append(log(weight) - (log((2 * pi) ** len(x) * determinants[k]) + distance) / 2)
        logs.append(log(mixture.noise.weight * exp(mixture.noise.log_density)))
        top = max(logs)
        densities.append(top + log(fsum(exp(one - top) for one in logs)))
        posteriors.append([exp(one - densities[-1]) for one in logs])
    return np.array(densities), np.array(posteriors)


@pytest.mark.parametrize("switch", ["1", "0"])
@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize(("k", "d"), SIZES)
def test_passes_and_scores_are_those_of_a_row_at_a_time(k, d, family, switch, monkeypatch):
    monkeypatch.setenv(SWITCH, switch)
    mixture = beside(drawn_mixture(k, d, family, spread=4.0))
    random = np.random.default_rng(0)
    rows, weights = mixture.sample(150, random)[0], random.uniform(0.5, 2, 150)
    densities, posteriors = row_by_row(mixture, rows)
    counts = weights @ posteriors
    kernels: list[Kernel] = ["quadratic", "centred", *["fused"] * (switch == "1")]
    for kernel in kernels:
        (found,) = sweep(rows, [mixture], weights, [kernel])
        assert found.log_likelihood == pytest.approx(weights @ densities, rel=1e-12)
        assert found.entropy == pytest.approx(
            -weights @ np.where(posteriors > 0, posteriors * np.log(posteriors + 1e-300), 0).sum(1),
            rel=1e-9,
            abs=1e-9,
        )
        assert found.log_max == pytest.approx(
            weights @ np.log(posteriors.max(axis=1)), rel=1e-9, abs=1e-9
        )
        np.testing.assert_allclose(found.all_counts, counts, rtol=1e-12, atol=1e-11)
        for j in range(k):
            mean = (weights * posteriors[:, j]) @ rows / counts[j]
            np.testing.assert_allclose(found.means[j], mean, rtol=1e-11, atol=1e-11)
        mean = np.average(rows, axis=0, weights=weights)
        np.testing.assert_allclose(found.mean(), mean, rtol=1e-11, atol=1e-11)
        variance = np.average((rows - mean) ** 2, axis=0, weights=weights)
        np.testing.assert_allclose(found.variance(), variance, rtol=1e-11)
    np.testing.assert_allclose(mixture.log_density(rows), densities, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mixture.responsibilities(rows), posteriors, atol=1e-12)
    np.testing.assert_allclose(logsumexp(mixture.log_joint(rows), axis=1), densities, rtol=1e-12)
    likeliest = posteriors.argmax(axis=1)
    assert np.array_equal(mixture.labels(rows), np.where(likeliest == k, -1, likeliest))
    assert (mixture.labels(rows) == -1).any()


def test_rows_of_components_that_are_apart_are_looked_at_beside_noise():
    mixture = beside(drawn_mixture(12, 24, spread=8.0), 0.2, 16.0)
    rows = mixture.sample(300, np.random.default_rng(0))[0]
    kernel = FusedKernel([mixture], Frame.of([mixture]))
    assert kernel.add(rows, None)
    assert kernel.separation is not None
    (found,) = kernel.statistics()
    densities, posteriors = row_by_row(mixture, rows)
    assert found.log_likelihood == pytest.approx(densities.sum(), rel=1e-12)
    np.testing.assert_allclose(found.all_counts, posteriors.sum(axis=0), rtol=1e-11)
    np.testing.assert_allclose(found.variance(), rows.var(axis=0), rtol=1e-11)


def test_moves_are_of_gaussians_alone():
    mixture = beside(drawn_mixture(3, 2))
    sample = Sample.of(mixture.sample(200, np.random.default_rng(1))[0])
    posteriors = row_by_row(mixture, sample.rows)[1]
    expected = -np.log(np.maximum(1 - posteriors[:, :3], 1e-300)).sum(axis=0)
    np.testing.assert_allclose(missed(mixture, sample), expected, rtol=1e-6)
    for moved in moves(mixture, sample):
        assert moved.noise.weight > 0
        assert moved.all_weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_the_textbook_holds(family):
    for k, d in ((3, 2), (2, 1)):
        mixture = beside(drawn_mixture(k, d, family))
        rows = mixture.sample(300, np.random.default_rng(1))[0]
        verification = verify(mixture, rows, np.linspace(0.5, 2, 300))
        assert verification.holds, str(verification)


def test_a_row_whose_squares_overflow_is_noise():
    mixture = beside(drawn_mixture(3, 4))
    rows = np.array([[1e150, -1e150, 1e150, 1e150], [0, 0, 0, 0], [-1e149, 0, 0, 3]])
    assert mixture.labels(rows)[[0, 2]].tolist() == [-1, -1]
    expected = log(mixture.noise.weight) + mixture.noise.log_density
    np.testing.assert_allclose(mixture.log_density(rows)[[0, 2]], expected)
    np.testing.assert_allclose(mixture.responsibilities(rows)[[0, 2], -1], 1.0)


@pytest.mark.parametrize("kernel", ["quadratic", "centred", "fused"])
def test_blocks_add_up(kernel):
    mixture = beside(drawn_mixture(3, 3, "tied"))
    rows = mixture.sample(900, np.random.default_rng(2))[0] + 1e3
    mixture = replace_means(mixture, mixture.means + 1e3)
    parts = [sweep(part, [mixture], None, [kernel])[0] for part in np.array_split(rows, 5)]
    total = parts[0]
    for part in parts[1:]:
        total += part
    (whole,) = sweep(rows, [mixture], None, [kernel])
    assert_alike(total, whole)
    assert_alike(total.noise, whole.noise)
    np.testing.assert_allclose(total.variance(), rows.var(axis=0), rtol=1e-9)
    with pytest.raises(ValueError, match="noise"):
        total + sweep(rows, [mixture.gaussians])[0]


def replace_means(mixture: Mixture, means: np.ndarray) -> Mixture:
    return Mixture(mixture.weights, means, mixture.covariances, mixture.family, mixture.noise)


@pytest.mark.parametrize("prior", [None, Prior()])
@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_the_objective_never_falls(family, prior):
    truth = beside(drawn_mixture(3, 2, "full", spread=4.0))
    rows = truth.sample(400, np.random.default_rng(3))[0]
    begun = beside(drawn_mixture(3, 2, family, seed=4, spread=3.0), 0.4)
    asked = replace(plain(30), regularisation=Regularisation(0.0, prior=prior))
    states = [state.candidates[0] for state in iterate(over(rows), start([begun]), asked)]
    for before, after in pairwise(states):
        assert after.objective >= before.objective - 1e-12
        assert after.mixture.all_weights.sum() == pytest.approx(1, abs=1e-12)
    assert states[-1].objective > states[0].objective + 0.1


@pytest.mark.parametrize("accelerate", ["auto", "squarem", "anderson"])
def test_accelerations_take_noise_along(accelerate):
    truth = beside(drawn_mixture(3, 2, "full", spread=1.0), 0.3, 4.0)
    rows = truth.sample(1500, np.random.default_rng(5))[0]
    begun = beside(drawn_mixture(3, 2, seed=1, spread=1.0), 0.1, 4.0)
    settings = replace(plain(3000), stopping=Stopping(tol=1e-9, max_iter=3000))
    slow = run(over(rows), start([begun]), settings)
    fast = run(over(rows), start([begun]), replace(settings, accelerate=accelerate))
    assert fast.best.mean_log_likelihood >= slow.best.mean_log_likelihood - 1e-7
    assert fast.passes < slow.passes


def test_the_chart_has_a_coordinate_for_noise_and_leads_back():
    here, there = (beside(drawn_mixture(3, 2, seed=seed), 0.1 * (1 + seed)) for seed in (0, 1))
    chart = Chart(here)
    coordinates = chart.coordinates(as_vector(there))
    assert len(coordinates) == 4 + 6 + 9
    back = chart.mixture(coordinates)
    assert back.noise.weight == pytest.approx(there.noise.weight)
    np.testing.assert_allclose(back.weights, there.weights)
    np.testing.assert_allclose(back.covariances, there.covariances)


@pytest.mark.parametrize("family", ["EII", "EEI", "tied", "spherical", "diag", "full"])
def test_lengths_in_the_chart_are_divergences(family):
    here = beside(drawn_mixture(3, 2, family), 0.4)
    random = np.random.default_rng(12)
    scaled = here.covariances * 1.01
    means = here.means + 1e-3 * random.normal(size=here.means.shape)
    there = Mixture(here.weights, means, scaled, family, here.noise)
    coordinates = Chart(here).coordinates(as_vector(there))
    total = 0.0
    for k in range(3):
        ratio = np.linalg.solve(there.matrices[k], here.matrices[k])
        off = there.means[k] - here.means[k]
        distance = off @ np.linalg.solve(there.matrices[k], off)
        divergence = np.trace(ratio) - 2 - np.linalg.slogdet(ratio)[1] + distance
        total += here.weights[k] * divergence / 2
    assert coordinates @ coordinates / 2 == pytest.approx(total, rel=0.02)


@pytest.mark.parametrize("name", TRUTH["2_features"])
@pytest.mark.parametrize("table", TABLES)
def test_the_optimum_is_no_lower_than_mclusts_and_parameters_are_as_many(table, name):
    rows, labels = TABLES[table]
    height, criterion, inverse, count = TRUTH[table][name]
    gaussians, kind = labels > 0, family_named(name)
    known = labels[gaussians] - 1
    statistics = sweep_labels(rows[gaussians], known, int(labels.max()), kind.layout)
    begun = from_statistics(statistics, kind.name, Regularisation(0.0))
    begun = begun.beside(Noise(float((~gaussians).mean()), log(inverse)))
    asked = replace(plain(5000), stopping=Stopping(tol=1e-11, max_iter=5000), accelerate="auto")
    best = run(over(rows), start([begun]), asked).best
    assert best.mixture.parameter_count == count
    assert best.statistics.log_likelihood >= height - 1e-7
    if best.statistics.log_likelihood < height + 1e-3:  # else it is a higher optimum
        assert bic(best.mixture, best.statistics) == pytest.approx(-criterion, abs=1e-6)


def test_all_rows_may_be_noise_and_none():
    rows = drawn_mixture(2, 2).sample(200, np.random.default_rng(6))[0]
    for density, share in ((1e6, 1.0), (1e-200, 0.0)):
        begun = drawn_mixture(2, 2).beside(Noise(0.1, log(density)))
        last = run(over(rows), start([begun]), plain(20, reg_covar=1e-6)).best
        assert last.mixture.noise.weight == pytest.approx(share, abs=1e-9)
        assert np.isfinite(last.mixture.log_density(rows)).all()
        assert (last.mixture.labels(rows) == -1).all() == (share == 1.0)


@pytest.mark.parametrize("policy", ["drop", "reseed"])
def test_noise_stays_when_a_component_goes(policy):
    truth = beside(drawn_mixture(2, 2, spread=4.0))
    rows = truth.sample(500, np.random.default_rng(7))[0]
    far = np.vstack([truth.means, [[50.0, 50.0]]])
    covariances = np.concatenate([truth.covariances, truth.covariances[:1] * 1e-3])
    begun = Mixture([0.4, 0.3, 0.1], far, covariances, "full", truth.noise)
    states = list(iterate(over(rows), start([begun]), plain(5, degenerate=policy)))
    mixture = states[-1].candidates[0].mixture
    assert mixture.components == (2 if policy == "drop" else 3)
    assert mixture.all_weights.sum() == pytest.approx(1)
    assert mixture.noise.weight == pytest.approx(0.2, abs=0.06)


def test_it_is_drawn_from_its_box():
    mixture = beside(drawn_mixture(2, 3), 0.25, 20.0)
    rows, labels = mixture.sample(8000, np.random.default_rng(8))
    noise = rows[labels == -1]
    assert len(noise) / 8000 == pytest.approx(0.25, abs=0.02)
    assert noise.min() >= -20
    assert noise.max() <= 21
    np.testing.assert_allclose(noise.mean(axis=0), 0.5, atol=1.2)
    np.testing.assert_allclose(noise.std(axis=0), 41 / 12**0.5, rtol=0.05)
    placeless = mixture.beside(replace(mixture.noise, box=None))
    with pytest.raises(Refusal, match="no place to be drawn from"):
        placeless.sample(10, np.random.default_rng(0))
    assert (placeless.gaussians.sample(10, np.random.default_rng(0))[1] >= 0).all()


def test_marginal_times_conditional_is_the_joint():
    mixture = beside(drawn_mixture(3, 3))
    row = mixture.means[0] + 0.3
    given = mixture.conditional({1: row[1]})
    known, rest = mixture.marginal([1]), given.log_density(row[None, [0, 2]])
    both = known.log_density(row[None, [1]]) + rest
    np.testing.assert_allclose(both, mixture.log_density(row[None]), rtol=1e-12)
    with pytest.raises(Refusal, match="fewer features"):
        mixture.beside(replace(mixture.noise, box=None)).marginal([0])


def test_it_is_said_as_text():
    assert [noise_text(said) for said in (True, False, None, "box", 0.5, 2)] == [
        *("box", None, None, "box", "0.5", "2.0")
    ]
    assert inverse_volume("0.25") == 0.25
    for text in ("0", "-1", "inf", "nan", "some"):
        with pytest.raises(Refusal, match="inverse of its volume"):
            inverse_volume(text)
    with pytest.raises(Refusal, match="y has one value only"):
        asked("box", np.array([[0.0, 1.0], [2.0, 1.0]]), ["x", "y"])
    with pytest.raises(Refusal, match="shape"):
        drawn_mixture(2, 3).beside(Noise(0.1, 0.0, np.zeros((2, 2))))
    with pytest.raises(Refusal, match="sum to 1"):
        Mixture([0.5, 0.5], np.eye(2), [1.0, 1.0], "spherical", Noise(0.1, 0.0))


def test_the_table_has_a_line_for_it():
    lines = str(beside(drawn_mixture(2, 2), 0.25)).splitlines()
    assert lines[0].startswith("Mixture of 2 components and noise")
    assert lines[-1].split() == ["noise", "0.2500", "-8.00", "to", "9.00", "-8.00", "to", "9.00"]


def test_densities_of_rows_are_told_by_their_neighbours():
    random = np.random.default_rng(9)
    rows = random.uniform(0, 10, (4000, 2)) * [1, 100]
    inside = (np.abs(rows / [1, 100] - 5) < 4).all(axis=1)
    found = log_densities(Sample.of(rows))[inside]
    assert found.mean() == pytest.approx(-log(1e4), abs=0.15)
    truth = beside(drawn_mixture(3, 2, spread=4.0), 0.5, 20.0)
    rows, labels = truth.sample(3000, random)
    kept = dense_rows(Sample.of(rows), truth.noise).rows
    ours = {tuple(row) for row in kept}
    of_gaussians = np.array([tuple(row) in ours for row in rows[labels >= 0]])
    of_noise = np.array([tuple(row) in ours for row in rows[labels == -1]])
    assert of_gaussians.mean() > 0.9
    assert of_noise.mean() < 0.2
    whole = Sample.of(rows)
    assert dense_rows(whole, None) is whole
    assert dense_rows(whole, truth.noise, len(rows)) is whole


def test_an_m_step_gives_noise_what_is_its_own():
    mixture = beside(drawn_mixture(3, 2))
    rows = mixture.sample(500, np.random.default_rng(10))[0]
    (statistics,) = sweep(rows, [mixture])
    found = maximise(statistics, "full", Regularisation(0.0), mixture).mixture
    posteriors = mixture.responsibilities(rows)
    assert found.noise.weight == pytest.approx(posteriors[:, -1].mean(), rel=1e-12)
    np.testing.assert_allclose(found.weights, posteriors[:, :-1].mean(axis=0), rtol=1e-12)


def test_large_mixtures_and_statistics_travel_with_it():
    mixture = beside(drawn_mixture(30, 50), 0.2, 30.0)
    assert mixture.large
    rows = mixture.sample(300, np.random.default_rng(11))[0]
    sent = pickle.loads(pickle.dumps(mixture))
    assert sent.noise.weight == mixture.noise.weight
    assert np.array_equal(sent.covariances, mixture.covariances)
    (found,) = sweep(rows, [mixture])
    back = pickle.loads(pickle.dumps(found))
    assert_alike(back.noise, found.noise, 0)
    mixture.forget()
    assert "terms" not in vars(mixture)
