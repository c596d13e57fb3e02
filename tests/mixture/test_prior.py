"""A conjugate prior: mclust's M-step, of the density that SciPy knows, in every family."""

import json
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.stats import invgamma, invwishart, multivariate_normal, norm

from gmm_dask import Configuration, GaussianMixture, Mixture, fit, open_rows
from gmm_dask.fitting.verification import verify_fit
from gmm_dask.mixture.conjugate import Conjugate
from gmm_dask.mixture.covariance import FAMILIES, family_named
from gmm_dask.mixture.iteration import iterate, start
from gmm_dask.mixture.maximisation import maximise
from gmm_dask.mixture.prior import Prior, prior_text, said_prior
from gmm_dask.mixture.q_function import expected_log_likelihood
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.sweep import sweep, sweep_responsibilities
from gmm_dask.models.model import load_model
from gmm_dask.store.errors import RunDiffersError
from tests.mixture.mclust import KEPT, WITH_PRIOR, tables
from tests.mixture.problems import EVERY_FAMILY, drawn_mixture, drawn_rows, over, plain

TRUTH = json.loads(KEPT.read_text())
TABLES = {name: (rows, labels) for name, rows, labels in tables()}
STRONG = Prior(shrinkage=3.0, dof=12.0, scale=0.5)


@pytest.mark.parametrize("name", WITH_PRIOR)
@pytest.mark.parametrize("table", TABLES)
def test_the_m_step_of_labels_is_mclusts(table, name):
    rows, labels = TABLES[table]
    k, d = int(labels.max()) + 1, rows.shape[1]
    kind, members = family_named(name), np.eye(k)[labels]
    statistics = sweep_responsibilities(
        rows, lambda part: members[part], k, kind.layout, np.ones(len(rows))
    )
    found = maximise(statistics, kind.name, Regularisation(0.0, prior=Prior())).mixture
    expected = np.reshape(TRUTH[table][f"{name}+prior"], (k, d, d))
    np.testing.assert_allclose(found.matrices, expected, rtol=1e-9, atol=1e-12)


def densities(mixture, mean, scale, prior, dof):
    """By SciPy: every covariance and, given it, its mean."""
    total = 0.0
    for k in range(mixture.components):
        matrix = mixture.matrices[k]
        if mixture.family in ("full", "tied"):
            if k == 0 or mixture.family == "full":
                total += invwishart.logpdf(matrix, dof, scale)
        elif mixture.family == "diag":
            total += invgamma.logpdf(np.diagonal(matrix), dof / 2, scale=scale / 2).sum()
        else:
            total += invgamma.logpdf(matrix[0, 0], dof / 2, scale=scale / 2)
        if mixture.family in ("full", "tied"):
            total += multivariate_normal.logpdf(mixture.means[k], mean, matrix / prior.shrinkage)
        else:
            deviations = np.sqrt(np.diagonal(matrix) / prior.shrinkage)
            total += norm.logpdf(mixture.means[k], mean, deviations).sum()
    return total


@pytest.mark.parametrize("family", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("prior", [Prior(), STRONG])
def test_its_density_is_scipys_but_for_a_constant(family, prior):
    rows = drawn_rows(200, drawn_mixture(3, 3))
    one, other = (drawn_mixture(3, 3, family, seed) for seed in (1, 2))
    (statistics,) = sweep(rows, [one])
    matrix = np.cov(rows.T) * prior.scale / 3 ** (2 / 3)
    scale = matrix if family in ("full", "tied") else np.trace(matrix) / 3
    dof = 5 if prior.dof is None else prior.dof
    by_scipy = [densities(m, rows.mean(axis=0), scale, prior, dof) for m in (one, other)]
    ours = [Conjugate(prior).log_density(statistics, m) for m in (one, other)]
    assert ours[1] - ours[0] == pytest.approx(by_scipy[1] - by_scipy[0], rel=1e-9)


@pytest.mark.parametrize("family", EVERY_FAMILY)
@pytest.mark.parametrize("prior", [Prior(), STRONG])
def test_the_penalised_likelihood_never_falls(family, prior):
    rows = drawn_rows(300, drawn_mixture(3, 3, spread=1.5))
    begin = drawn_mixture(3, 3, family, seed=3, spread=1.0)
    asked = plain(40)
    regularisation = Regularisation(0.0, prior=prior)
    asked = type(asked)(asked.stopping, regularisation)
    states = [s.candidates[0] for s in iterate(over(rows), start([begin]), asked)]
    for before, after in pairwise(states):
        assert after.objective >= before.objective - 1e-12
    last = states[-1]
    value = Conjugate(prior).log_density(last.statistics, last.mixture)
    assert last.objective == pytest.approx(last.mean_log_likelihood + value / len(rows))


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_an_m_step_is_not_bettered_by_its_neighbours(family):
    mixture = drawn_mixture(3, 3, family)
    (statistics,) = sweep(drawn_rows(100, mixture), [mixture])
    how = Regularisation(0.0, prior=STRONG)
    solution = mixture
    for _ in range(40):
        solution = maximise(statistics, family, how, solution).mixture
    pseudo = Conjugate(STRONG).pseudo_rows(statistics, solution.kind)

    def height(other):
        return expected_log_likelihood(other, statistics) + pseudo.log_density(other)

    random = np.random.default_rng(0)
    for size, _ in product((1e-1, 1e-2, 1e-3), range(6)):
        shift = 1 + size * random.normal(size=solution.covariances.shape)
        if not solution.diagonal:
            shift = (shift + np.swapaxes(shift, -1, -2)) / 2
        moved = solution.covariances * shift
        if family not in ("EII", "EEI", "tied"):
            moved = solution.kind.nearest(solution.weights, moved, solution.covariances)
        means = solution.means * (1 + size * random.normal(size=solution.means.shape))
        for other in (
            Mixture(solution.weights, solution.means, moved, family),
            Mixture(solution.weights, means, solution.covariances, family),
        ):
            assert height(other) <= height(solution) + 1e-7


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_what_collapses_without_a_prior_does_not_with_it(family):
    rows = np.repeat(np.random.default_rng(0).normal(size=(6, 3)), 5, axis=0)
    asked = {"init": "random_from_data", "reg_covar": 0.0, "max_iter": 50}
    found = fit(rows, Configuration(5, family, prior="default", **asked))
    kinds = {event["kind"] for entry in found.history for event in entry["events"]}
    assert not kinds & {"starved", "collapsed"}
    assert found.mixture.variances.min() > 1e-3


def test_with_many_rows_it_says_nothing():
    rows = drawn_rows(200_000, drawn_mixture(2, 2))
    one, other = (fit(rows, Configuration(2, prior=prior, tol=1e-6)) for prior in (None, "default"))
    assert one.mean_log_likelihood - other.mean_log_likelihood < 1e-6
    np.testing.assert_allclose(one.mixture.means, other.mixture.means, atol=1e-2)


def test_it_is_said_as_text_or_as_a_table():
    assert said_prior("em", "default") == Prior()
    assert said_prior("em", "dof=12, scale=0.5,shrinkage=3") == STRONG
    assert Configuration(2, prior={"dof": 12, "shrinkage": 3}).prior == "dof=12,shrinkage=3"
    assert prior_text({}) == "default"
    for text in ("dof", "dof=x", "width=3", "dof=1,dof=2", "shrinkage=-1", "scale=0", "dof=inf"):
        with pytest.raises(Refusal, match="prior"):
            Configuration(2, prior=text)


class Interrupted(BaseException):
    """As Ctrl-C."""


def interrupt(progress):
    if progress.state.iteration == 4:
        raise Interrupted


@pytest.mark.parametrize("family", ["full", "EVE", "EEI"])
def test_a_run_is_interrupted_resumed_and_verified(family, tmp_path):
    rows = drawn_rows(400, drawn_mixture(3, 3))
    asked = Configuration(3, family, tol=0, max_iter=14, prior="dof=9,scale=2")
    whole = fit(rows, asked)
    run = tmp_path / "run"
    with pytest.raises(Interrupted):
        fit(rows, asked, run=run, callbacks=[interrupt])
    with pytest.raises(RunDiffersError, match="prior"):
        fit(rows, Configuration(3, family, tol=0, max_iter=14), run=run)
    again = fit(rows, asked, run=run)
    for name in ("weights", "means", "covariances"):
        assert getattr(again.mixture, name).tobytes() == getattr(whole.mixture, name).tobytes()
    assert [entry["objective"] for entry in again.history] == [
        entry["objective"] for entry in whole.history
    ]


def test_a_model_is_held_against_its_own_prior(tmp_path):
    rows = drawn_rows(60, drawn_mixture(3, 3))
    asked = Configuration(3, tol=1e-9, max_iter=2000, prior="dof=40,scale=2")
    fit(rows, asked, run=tmp_path / "run")
    model = load_model(tmp_path / "run" / "model.zarr")
    assert all(identity.holds for identity in verify_fit(model, open_rows(rows)))
    # without it, the next step would gain
    free = maximise(sweep(rows, [model.mixture])[0], "full").mixture
    assert free.log_density(rows).mean() > model.mixture.log_density(rows).mean() + 1e-3


def test_the_estimator_has_it():
    rows = drawn_rows(300, drawn_mixture(2, 2))
    found = GaussianMixture(2, prior="default", random_state=0).fit(rows)
    assert found.get_params()["prior"] == "default"
    assert found.converged_


def test_families_share_the_table_of_hyper_parameters():
    for family in FAMILIES:
        degrees, share = family_named(family).conjugate(7.0, 4)
        assert degrees > 0
        assert 0 < share <= 1
