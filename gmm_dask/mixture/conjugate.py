"""A conjugate prior as rows that were never seen: their counts, scatter and mean.

The mode of the posterior is the M-step of statistics to which these are added (Gauvain & Lee 1994;
Fraley & Raftery 2007), in every family. What hyper-parameters follow from the data follows from the
statistics, whose mean and variance are those of all rows in every pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.family import Family
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.prior import Prior
from gmm_dask.mixture.statistics import SufficientStatistics


@dataclass(frozen=True, eq=False)
class PseudoRows:
    """What a prior adds to each component: log-densities' normalisers (K,), scatter in the layout
    of the family, and so many rows at the mean (D,)."""

    counts: Array
    scatter: Array
    at_mean: float
    mean: Array

    def added(self, statistics: SufficientStatistics) -> SufficientStatistics:
        """The statistics of seen rows and these; a component's mean is drawn to the common one."""
        n, layout = statistics.counts, statistics.layout
        share = self.at_mean / np.maximum(n + self.at_mean, np.finfo(np.float64).tiny)
        offsets = self.mean - statistics.means
        return replace(
            statistics,
            counts=n + self.counts,
            means=statistics.means + share[:, None] * offsets,
            scatter=statistics.scatter + self.scatter + layout.between(share * n, offsets),
        )

    def log_density(self, mixture: Mixture) -> float:
        """Of the prior at a mixture, but for a constant."""
        layout, precisions = mixture.kind.layout, mixture.spread(mixture.precisions)
        at_mean = np.full(mixture.components, self.at_mean)
        second = self.scatter + layout.between(at_mean, mixture.means - self.mean)
        half = float(self.counts @ mixture.half_log_determinants)
        return half - 0.5 * layout.inner(precisions, second)


def log_prior(prior: Prior, statistics: SufficientStatistics, mixture: Mixture) -> float:
    """The prior's log-density at the mixture that these are the statistics of, plus a constant."""
    return pseudo_rows(prior, statistics, mixture.kind).log_density(mixture)


def pseudo_rows(prior: Prior, statistics: SufficientStatistics, kind: Family) -> PseudoRows:
    """Those of a prior, for the components and the data that these statistics are of.

    Every volume has the prior's degrees of freedom once, every component its scale; what is one
    covariance of all components has that once, too.
    """
    (k, d), mean = statistics.means.shape, statistics.mean()
    dof = d + 2 if prior.dof is None else prior.dof
    degrees, share = kind.conjugate(dof, d)
    scatter = statistics.layout.alike(_scale(statistics, mean) * prior.scale * share, k)
    return PseudoRows(
        np.full(k, degrees / (k if kind.one_volume else 1) + (prior.shrinkage > 0)),
        scatter / (k if kind.shared and kind.layout.diagonal else 1),
        prior.shrinkage,
        mean,
    )


def _scale(statistics: SufficientStatistics, mean: Array) -> Array:
    """var(X) / K^{2/D}: a matrix (D, D), or (D,) the mean of the variances."""
    (k, d), layout = statistics.means.shape, statistics.layout
    between = layout.between(statistics.counts, statistics.means - mean)
    variance = layout.pooled(statistics.scatter + between) / statistics.counts.sum()
    variance = variance * (statistics.rows / max(statistics.rows - 1, 1))
    if layout.diagonal:
        variance = np.full(d, variance.mean())
    return variance / k ** (2 / d)
