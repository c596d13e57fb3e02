"""Variational Bayes: scikit-learn's optima, an exact bound that never falls, weights by SciPy."""

import json

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import beta, dirichlet, wishart
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

from gmm_dask import Configuration, Mixture, fit, load_model, open_rows, select
from gmm_dask.fitting.verification import verify_fit
from gmm_dask.mixture.belief import belief_of
from gmm_dask.mixture.covariance import family_named
from gmm_dask.mixture.iteration import EMSettings, iterate, start
from gmm_dask.mixture.prior import PROCESSES, VariationalPrior, said_prior
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.sweep import sweep
from gmm_dask.mixture.variational import FAMILIES, Variational, check_prior
from gmm_dask.mixture.weight_beliefs import WEIGHT_BELIEFS
from gmm_dask.models.model import MODEL
from gmm_dask.settings.errors import ConfigurationError
from tests.mixture.problems import drawn_mixture, drawn_rows, over

ROWS = drawn_rows(400, drawn_mixture(3, 3))
STRONG = VariationalPrior("dirichlet_distribution", 0.3, 2.0, 7.5, (0.5, 1.0, -1.0), 2.5)


def settings(prior, weight, **stopping):
    return EMSettings(regularisation=Regularisation(0.0, prior=prior, weight=weight), **stopping)


def theirs(family, process, begin, **given):
    """scikit-learn's, from responsibilities, for one step."""

    class Begun(BayesianGaussianMixture):
        def _initialize_parameters(self, X, *_, **__):
            self._initialize(X, begin)

    return Begun(
        n_components=begin.shape[1],
        covariance_type=family,
        weight_concentration_prior_type=process,
        tol=0.0,
        reg_covar=1e-6,
        **given,
    )


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("steps", [1, 5])
def test_its_steps_are_scikit_learns(family, process, steps):
    labels = np.random.default_rng(3).integers(4, size=len(ROWS))
    model = theirs(family, process, np.eye(4)[labels], max_iter=steps)
    with pytest.warns(ConvergenceWarning):
        model.fit(ROWS)
    asked = Configuration(
        4,
        family,
        "labels",
        method="variational",
        prior=f"weights={process}",
        accelerate=None,
        max_iter=steps,
        tol=0.0,
    )
    found = fit(ROWS, asked, labels=labels)
    close = {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(found.mixture.means, model.means_, **close)
    np.testing.assert_allclose(found.mixture.covariances, model.covariances_, **close)
    np.testing.assert_allclose(found.posterior.weights, model.weights_, **close)
    np.testing.assert_allclose(found.posterior.mean_precision, model.mean_precision_, **close)
    np.testing.assert_allclose(found.posterior.dof, model.degrees_of_freedom_, **close)
    concentration = np.stack(model.weight_concentration_) if process == PROCESSES[0] else None
    if concentration is None:
        concentration = model.weight_concentration_
    np.testing.assert_allclose(found.posterior.weight_concentration, concentration, **close)
    np.testing.assert_allclose(found.mixture.responsibilities(ROWS), model.predict_proba(ROWS))
    density = found.mixture.log_density(ROWS) + found.posterior.log_total
    np.testing.assert_allclose(density, model.score_samples(ROWS), rtol=1e-9)


@pytest.mark.parametrize("process", PROCESSES)
def test_expected_log_joints_are_those_of_reweighted_gaussians(process):
    """By drawing from the posterior: E[log π_k + log N(x | μ_k, Λ_k⁻¹)]."""
    random = np.random.default_rng(5)
    prior = VariationalPrior(process)
    posterior = Variational(prior, 60.0).posterior(drawn_mixture(3, 2))
    mixture, x = posterior.mixture, np.array([0.4, -0.2])
    draws, values = 20_000, []
    a = posterior.weight_concentration
    if process == "dirichlet_distribution":
        logs = np.log(dirichlet(a).rvs(draws, random_state=random))
    else:
        sticks = beta(a[0], a[1]).rvs((draws, 3), random_state=random)
        left = np.cumprod(np.c_[np.ones(draws), 1 - sticks[:, :-1]], axis=1)
        logs = np.log(sticks * left)
    for k in range(3):
        scale = np.linalg.inv(mixture.matrices[k]) / posterior.dof[k]
        precisions = wishart(posterior.dof[k], scale).rvs(draws, random_state=random)
        spread = np.linalg.cholesky(np.linalg.inv(precisions * posterior.mean_precision[k]))
        means = mixture.means[k] + np.einsum("nij,nj->ni", spread, random.normal(size=(draws, 2)))
        off = x - means
        half = 0.5 * np.linalg.slogdet(precisions)[1] - np.log(2 * np.pi)
        values.append(half - 0.5 * np.einsum("ni,nij,nj->n", off, precisions, off) + logs[:, k])
    drawn = np.mean(values, axis=1)
    error = np.std(values, axis=1) / np.sqrt(draws)
    ours = posterior.expected.log_joint(x[None])[0] + posterior.log_total
    assert (np.abs(ours - drawn) < 5 * error).all()


@pytest.mark.parametrize("process", PROCESSES)
def test_divergence_of_weights_is_what_drawing_says(process):
    random, counts = np.random.default_rng(1), np.array([30.0, 4.0, 0.5])
    believed = WEIGHT_BELIEFS[process](0.7)
    a = believed.concentrations(counts)
    if process == "dirichlet_distribution":
        drawn = dirichlet(a).rvs(20_000, random_state=random).T
        ratio = dirichlet(a).logpdf(drawn) - dirichlet(np.full(3, 0.7)).logpdf(drawn)
    else:
        sticks = beta(a[0], a[1]).rvs((20_000, 3), random_state=random)
        ratio = (beta(a[0], a[1]).logpdf(sticks) - beta(1, 0.7).logpdf(sticks)).sum(axis=1)
    error = ratio.std() / np.sqrt(len(ratio))
    assert abs(believed.divergence(counts) - ratio.mean()) < 5 * error


@pytest.mark.parametrize("family", FAMILIES)
def test_divergence_of_means_and_precisions_is_what_drawing_says(family):
    """KL of normal-Wisharts by SciPy's densities, at draws of the posterior."""
    random, d, k = np.random.default_rng(2), 3, 2
    mixture = drawn_mixture(k, d, family)
    belief = Variational(STRONG, 40.0)
    posterior = belief.posterior(mixture)
    (statistics,) = sweep(ROWS, [mixture])
    before = belief.pseudo_rows(statistics, mixture.kind)
    ours = posterior.divergence(before) - posterior.of_weights.divergence(posterior.counts)
    mean, scale_before = np.array(STRONG.mean), np.eye(d) / STRONG.covariance
    total, variance, draws = 0.0, 0.0, 20_000
    for matrix, dof, precision, centre in zip(
        mixture.matrices, posterior.dof, posterior.mean_precision, mixture.means, strict=True
    ):
        after = wishart(dof, np.linalg.inv(matrix) / dof)
        drawn = after.rvs(draws, random_state=random)
        ratio = after.logpdf(np.moveaxis(drawn, 0, -1))
        ratio -= wishart(STRONG.dof, scale_before).logpdf(np.moveaxis(drawn, 0, -1))
        spread = np.linalg.cholesky(np.linalg.inv(drawn * precision))
        means = centre + np.einsum("nij,nj->ni", spread, random.normal(size=(draws, d)))
        for at, sign, kappa in ((centre, 1, precision), (mean, -1, STRONG.shrinkage)):
            off = means - at
            squares = np.einsum("ni,nij,nj->n", off, drawn, off)
            ratio += sign * (0.5 * d * np.log(kappa) - 0.5 * kappa * squares)
        total, variance = total + ratio.mean(), variance + ratio.var() / draws
    assert abs(ours - total) < 5 * np.sqrt(variance)


@pytest.mark.parametrize("prior", [VariationalPrior(), STRONG])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_bound_never_falls(family, prior):
    how = settings(prior, float(len(ROWS)))
    begun = start([drawn_mixture(5, 3, family, 4)])
    heights = [state.best.objective for state in iterate(over(ROWS), begun, how)]
    assert len(heights) > 5
    assert (np.diff(heights) >= -1e-12).all()


def test_with_one_component_the_bound_is_the_evidence():
    """Where nothing is approximated: ∏ of Student's densities, by the textbook's closed form."""
    from scipy.special import multigammaln

    prior = VariationalPrior("dirichlet_distribution", 1.0, 2.0, 5.0, (0.0, 0.0, 0.0), 1.5)
    n, d = ROWS.shape
    found = fit(
        ROWS,
        Configuration(
            1,
            method="variational",
            reg_covar=0.0,
            tol=1e-9,
            prior="weights=dirichlet_distribution,concentration=1,shrinkage=2,dof=5,"
            "mean=[0,0,0],covariance=1.5",
        ),
    )
    mean = ROWS.mean(axis=0)
    off = ROWS - mean
    scatter = off.T @ off + 1.5 * np.eye(d) + n * 2 / (n + 2) * np.outer(mean, mean)
    evidence = (
        -0.5 * n * d * np.log(np.pi)
        + multigammaln(0.5 * (5 + n), d)
        - multigammaln(2.5, d)
        + 2.5 * d * np.log(1.5)
        - 0.5 * (5 + n) * np.linalg.slogdet(scatter)[1]
        + 0.5 * d * np.log(2 / (2 + n))
    )
    assert found.objective * n == pytest.approx(evidence, rel=1e-10)
    assert said_prior("variational", "shrinkage=2") == VariationalPrior(shrinkage=2.0)
    assert prior == found.posterior.prior


def test_components_that_are_not_needed_are_emptied():
    apart = Mixture([0.5, 0.3, 0.2], [[0, 0], [8, 0], [0, 8]], [1.0, 0.5, 2.0], "spherical")
    rows = apart.sample(3_000, np.random.default_rng(8))[0]
    found = fit(
        rows,
        Configuration(
            12, method="variational", prior="concentration=0.01", tol=1e-2, max_iter=2000
        ),
    )
    assert np.count_nonzero(found.posterior.counts > 5) == 3
    assert found.mixture.weights.sum() == pytest.approx(1)


def test_a_run_goes_on_with_the_same_bits_and_is_verified(tmp_path):
    asked = Configuration(6, method="variational", tol=1e-6, max_iter=200)

    def stop(progress):
        if progress.state.iteration == 7:
            raise KeyboardInterrupt

    whole = fit(ROWS, asked, run=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(ROWS, asked, run=tmp_path / "run", callbacks=[stop])
    resumed = fit(ROWS, asked, run=tmp_path / "run")
    assert resumed.mixture.covariances.tobytes() == whole.mixture.covariances.tobytes()
    assert resumed.objective == whole.objective
    model = load_model(tmp_path / "run" / MODEL)
    assert model.mixture.weights.tobytes() == whole.mixture.weights.tobytes()
    np.testing.assert_array_equal(model.provenance["posterior"]["counts"], whole.posterior.counts)
    assert all(one.holds for one in verify_fit(model, open_rows(ROWS)))
    moved = Mixture(model.mixture.weights, model.mixture.means + 0.3, model.mixture.covariances)
    wrong = type(model)(moved, model.feature_names, model.provenance)
    assert not all(one.holds for one in verify_fit(wrong, open_rows(ROWS)))


def test_accelerated_it_ends_no_lower_in_fewer_passes():
    asked = Configuration(6, method="variational", tol=1e-6, max_iter=5000)
    plain = fit(ROWS, Configuration(**{**asked.as_dict(), "accelerate": None}))
    quick = fit(ROWS, asked)
    assert quick.passes < plain.passes
    assert quick.objective >= plain.objective - 1e-6


@pytest.mark.parametrize(
    ("given", "features", "words"),
    [
        ({"dof": 1.5}, 3, "dof must be above 2"),
        ({"mean": (1.0, 2.0)}, 3, "mean has 2 numbers for 3 features"),
        ({"covariance": (1.0, 2.0)}, 3, "shape (2,)"),
        ({"covariance": ((1.0, 2.0), (2.0, 1.0))}, 2, "positive definite"),
        ({"covariance": -1.0}, 2, "positive definite"),
    ],
)
def test_a_prior_that_does_not_fit_is_refused(given, features, words):
    with pytest.raises(Refusal) as told:
        check_prior(VariationalPrior(**given), features, family_named("full"))
    assert words in str(told.value)


def test_what_there_is_not_is_refused_before_any_pass():
    with pytest.raises(Refusal, match="not VEV"):
        fit(ROWS, Configuration(2, "VEV", method="variational"))
    with pytest.raises(Refusal, match="weights=dirichlet_process"):
        Configuration(2, method="variational", prior="scale=2")
    with pytest.raises(ConfigurationError, match="variational"):
        select(ROWS, [1, 2], method="variational")
    with pytest.raises(Refusal, match="mean must be a list of numbers"):
        Configuration(2, method="variational", prior="mean=3")


def test_a_prior_is_the_same_as_a_table_and_as_text():
    table = {"concentration": 0.25, "mean": [0.5, 1.0, -1.0], "covariance": [1.0, 2.0, 3.0]}
    asked = Configuration(2, "diag", method="variational", prior=table)
    assert json.loads(json.dumps(asked.as_dict()))["prior"] == asked.prior
    prior = asked.settings().regularisation.prior
    assert prior == VariationalPrior(
        concentration=0.25, mean=(0.5, 1.0, -1.0), covariance=(1.0, 2.0, 3.0)
    )
    belief = belief_of(asked.settings().for_weight(50.0).regularisation)
    mixture = drawn_mixture(2, 3, "diag")
    expected = belief.expected(mixture)
    assert logsumexp(np.log(expected.weights)) == pytest.approx(0)
