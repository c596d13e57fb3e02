"""A prior of means and covariances as rows that were never seen.

The mode of a conjugate posterior is the M-step of statistics to which these are added (Gauvain &
Lee 1994; Fraley & Raftery 2007), in every family; so is what a variational posterior has in its
place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.parameters import Mixture
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
        return float(self.counts @ mixture.half_log_determinants) - 0.5 * self.strain(mixture)

    def strain(self, mixture: Mixture) -> float:
        """Σ_k tr Σ_k⁻¹ (S + κ (μ_k − m)(μ_k − m)ᵀ), of their scatter S, and κ rows at their m."""
        layout, precisions = mixture.kind.layout, mixture.spread(mixture.precisions)
        at_mean = np.full(mixture.components, self.at_mean)
        second = self.scatter + layout.between(at_mean, mixture.means - self.mean)
        return layout.inner(precisions, second)


def variance_of_rows(statistics: SufficientStatistics) -> Array:
    """var(X) of all rows, by one less than there are: (D, D), or (D,) without correlations."""
    layout, mean = statistics.layout, statistics.mean()
    parts = statistics, *filter(None, [statistics.noise])
    pooled = [
        layout.pooled(one.scatter + layout.between(one.counts, one.means - mean)) for one in parts
    ]
    variance: Array = sum(pooled[1:], start=pooled[0]) / statistics.all_counts.sum()
    return variance * (statistics.rows / max(statistics.rows - 1, 1))
