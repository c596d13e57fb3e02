"""Variational Bayes (Attias 2000; Bishop 2006, 10.2): a posterior in place of a mixture.

q(π) q(μ, Λ) has the counts n_k, means m_k and covariances C_k of the mixture that the loop carries,
whose weights are n_k / N: the rest of it follows from the prior. What is expected of log-densities
under it is what Gaussians of these means and covariances have, and a constant per component: so a
pass is that of an ordinary mixture of other weights, and statistics are as they are.

Λ_k has a Wishart posterior of ν_k degrees of freedom and of the scale (ν_k C_k)⁻¹ that the family
allows, as scikit-learn has it: diagonal, a multiple of the identity, or one of all components.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import digamma, logsumexp, multigammaln

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.family import Family
from gmm_dask.mixture.parameters import SMALLEST_WEIGHT, Mixture, symmetric
from gmm_dask.mixture.prior import Prior, VariationalPrior
from gmm_dask.mixture.pseudo_rows import PseudoRows, variance_of_rows
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.weight_beliefs import WEIGHT_BELIEFS, WeightBelief

LOG_TWO = float(np.log(2))
PARTS = ("counts", "weight_concentration", "mean_precision", "dof", "weights")
"""Of a posterior, beside the means and covariances of its mixture."""
SPHERICAL = "spherical"
FAMILIES = ("full", "tied", "diag", SPHERICAL)


@dataclass(frozen=True, eq=False)
class Posterior:
    """q(π) q(μ, Λ) of a mixture that the loop carries: `counts` n_k, and what follows."""

    prior: VariationalPrior
    mixture: Mixture
    weight: float

    @cached_property
    def counts(self) -> Array:
        """Rows (their weight) of each component, (K,)."""
        return self.mixture.weights * self.weight

    @cached_property
    def of_weights(self) -> WeightBelief:
        """What is believed of the weights."""
        given = self.prior.concentration
        concentration = 1 / self.mixture.components if given is None else given
        return WEIGHT_BELIEFS[self.prior.weights](concentration)

    @property
    def weights(self) -> Array:
        """E[π], (K,)."""
        return self.of_weights.weights(self.counts)

    @property
    def weight_concentration(self) -> Array:
        """(K,), or (2, K) of a process."""
        return self.of_weights.concentrations(self.counts)

    @property
    def mean_precision(self) -> Array:
        """κ_k, (K,)."""
        return self.prior.shrinkage + self.counts

    @property
    def dof(self) -> Array:
        """ν_k, (K,): the prior's, and the rows that a covariance is of; where it is shared, as many
        for each as all have on average."""
        counts = self.counts
        if self.mixture.kind.shared:
            counts = np.full_like(counts, self.weight / self.mixture.components)
        return self.dof_before + counts

    @property
    def dof_before(self) -> float:
        """ν of the prior."""
        return self.mixture.features if self.prior.dof is None else self.prior.dof

    @cached_property
    def log_precisions(self) -> Array:
        """E[log |Λ_k|] − log |C_k⁻¹|, (K,)."""
        d, dof = self.mixture.features, self.dof
        halves = digamma(0.5 * (dof - np.arange(d)[:, None])).sum(axis=0)
        expected: Array = halves + d * (LOG_TWO - np.log(dof))
        return expected

    @cached_property
    def log_expected(self) -> Array:
        """What log-densities are raised by, (K,): E[log π_k] + ½ (E[log |Λ_k|] − log |C_k⁻¹| −
        D / κ_k)."""
        spread = self.mixture.features / self.mean_precision
        return self.of_weights.expected_logs(self.counts) + 0.5 * (self.log_precisions - spread)

    @cached_property
    def log_total(self) -> float:
        """log Σ_k exp of that."""
        return float(logsumexp(self.log_expected))

    @cached_property
    def expected(self) -> Mixture:
        """The mixture whose log-densities are those expected, but for `log_total`."""
        weights = np.maximum(np.exp(self.log_expected - self.log_total), SMALLEST_WEIGHT)
        mixture = self.mixture
        return Mixture(weights / weights.sum(), mixture.means, mixture.covariances, mixture.family)

    def as_dict(self) -> dict[str, Any]:
        """What tells it from other posteriors of the same means and covariances, JSON-able."""
        return {
            "weight": self.weight,
            **{name: getattr(self, name).tolist() for name in PARTS},
        }

    def divergence(self, before: PseudoRows) -> float:
        """KL of the posterior from the prior, whose rows of means and covariances these are."""
        mixture, dof, dof_before = self.mixture, self.dof, self.dof_before
        d, shrinkage, counts = mixture.features, self.prior.shrinkage, self.counts
        ratio = shrinkage / self.mean_precision
        of_means = 0.5 * d * (ratio - 1 - np.log(ratio))
        log_determinants = 2 * mixture.half_log_determinants
        of_precisions = (
            _log_wishart(dof, log_determinants - d * np.log(dof), d)
            - _log_wishart(np.full(1, dof_before), -_log_determinant(before, mixture.kind), d)
            + 0.5 * (dof - dof_before) * (self.log_precisions + log_determinants)
            - 0.5 * d * dof
        )
        total = float((of_means + of_precisions).sum()) + 0.5 * before.strain(mixture)
        return total + self.of_weights.divergence(counts)


@dataclass(frozen=True)
class Variational:
    """A belief in a posterior of so many rows (their weight)."""

    prior: VariationalPrior
    weight: float
    only_rows = False

    def posterior(self, mixture: Mixture) -> Posterior:
        """That which a carried mixture amounts to."""
        return Posterior(self.prior, mixture, self.weight)

    def expected(self, mixture: Mixture) -> Mixture:
        """Of its log-densities, but for a constant."""
        return self.posterior(mixture).expected

    def added(
        self, statistics: SufficientStatistics, kind: Family, reg_covar: float
    ) -> tuple[SufficientStatistics, float]:
        """The statistics with the prior's own rows; only to seen ones a variance is added."""
        ridge = statistics.layout.ridge(statistics.counts * reg_covar, statistics.means.shape[1])
        seen = replace(statistics, scatter=statistics.scatter + ridge)
        return self.pseudo_rows(statistics, kind).added(seen), 0.0

    def log_density(self, statistics: SufficientStatistics, mixture: Mixture) -> float:
        """What the evidence's bound has beside the log-likelihood of what passes were shown."""
        posterior = self.posterior(mixture)
        before = self.pseudo_rows(statistics, mixture.kind)
        return statistics.weight * posterior.log_total - posterior.divergence(before)

    def pseudo_rows(self, statistics: SufficientStatistics, kind: Family) -> PseudoRows:
        """Those of the prior, for the components and the data that these statistics are of: every
        component has all of it, a shared covariance K times."""
        (k, d), prior = statistics.means.shape, self.prior
        scatter = kind.layout.alike(covariance_before(prior, statistics, kind), k)
        return PseudoRows(
            np.full(k, float(d) if prior.dof is None else prior.dof),
            scatter * k if kind.shared else scatter,
            prior.shrinkage,
            statistics.mean() if prior.mean is None else np.asarray(prior.mean),
        )


def covariance_before(
    prior: VariationalPrior, statistics: SufficientStatistics, kind: Family
) -> Array:
    """The inverse of the prior's scale: a matrix (D, D), or variances (D,)."""
    features, diagonal = statistics.means.shape[1], kind.layout.diagonal
    if prior.covariance is not None:
        given = np.asarray(prior.covariance)
        if given.ndim == 2:
            return given
        variances = np.broadcast_to(given, (features,))
        return variances if diagonal else np.diag(variances)
    variance = variance_of_rows(statistics)
    return np.full(features, variance.mean()) if kind.name == SPHERICAL else variance


def check_prior(prior: Prior | VariationalPrior | None, features: int, kind: Family) -> None:
    """Refuse, before any pass, what there is no distribution of, or none in this family."""
    if not isinstance(prior, VariationalPrior):
        return
    if kind.name not in FAMILIES:
        raise Refusal(
            f"a variational fit has covariances that are {', '.join(FAMILIES)}, not {kind.name}"
        )
    if prior.dof is not None and not prior.dof > features - 1:
        raise Refusal(
            f"a prior's dof must be above {features - 1}, one less than the features, not "
            f"{prior.dof:g}"
        )
    if prior.mean is not None and len(prior.mean) != features:
        raise Refusal(f"a prior's mean has {len(prior.mean)} numbers for {features} features")
    if prior.covariance is not None:
        _check_covariance(np.array(prior.covariance, dtype=object), features, kind)


def _check_covariance(given: Any, features: int, kind: Family) -> None:
    shapes = {0: (), 1: (features,), 2: (features, features)}
    most = 0 if kind.name == SPHERICAL else 1 if kind.layout.diagonal else 2
    if given.ndim > most or given.shape != shapes[given.ndim]:
        wanted = " or ".join(str(shapes[one]) for one in range(most + 1))
        raise Refusal(
            f"a prior's covariance has the shape {given.shape}: {kind.name} covariances of "
            f"{features} features need {wanted}"
        )
    matrix = np.asarray(given, np.float64)
    sound = (matrix > 0).all() if matrix.ndim < 2 else positive_definite(matrix)
    if not sound:
        raise Refusal("a prior's covariance must be symmetric and positive definite")


def positive_definite(matrix: Array) -> bool:
    """Whether a matrix (D, D) is symmetric, and has a Cholesky factor."""
    if not symmetric(matrix):
        return False
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def _log_wishart(dof: Array, log_determinant: Array | float, features: int) -> Array:
    """The logarithm of a Wishart density's normaliser, of its scale's log |W|."""
    halves: Array = 0.5 * dof * (log_determinant + features * LOG_TWO)
    return -halves - multigammaln(0.5 * dof, features)


def _log_determinant(before: PseudoRows, kind: Family) -> float:
    """log |V₀| of the prior's own scatter, which all components have alike."""
    scatter = before.scatter / len(before.counts) if kind.shared else before.scatter[0]
    if scatter.ndim == 1:
        return float(np.log(scatter).sum())
    return float(np.linalg.slogdet(scatter)[1])
