"""A conjugate prior: EM climbs to the mode of the posterior.

What hyper-parameters follow from the data follows from the statistics, whose mean and variance are
those of all rows in every pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.family import Family
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.prior import Prior
from gmm_dask.mixture.pseudo_rows import PseudoRows, variance_of_rows
from gmm_dask.mixture.statistics import SufficientStatistics


@dataclass(frozen=True)
class Conjugate:
    """A belief in a prior of means and covariances, and in the likeliest of what follows."""

    prior: Prior
    only_rows = False

    def expected(self, mixture: Mixture) -> Mixture:
        """The mixture itself: it is the mode, and rows are held against that."""
        return mixture

    def added(
        self, statistics: SufficientStatistics, kind: Family, reg_covar: float
    ) -> tuple[SufficientStatistics, float]:
        """The statistics with the prior's own rows, and what is added to their variances."""
        return self.pseudo_rows(statistics, kind).added(statistics), reg_covar

    def log_density(self, statistics: SufficientStatistics, mixture: Mixture) -> float:
        """Of the prior at the mixture that these are the statistics of, but for a constant."""
        return self.pseudo_rows(statistics, mixture.kind).log_density(mixture)

    def pseudo_rows(self, statistics: SufficientStatistics, kind: Family) -> PseudoRows:
        """Those of the prior, for the components and the data that these statistics are of.

        Every volume has the prior's degrees of freedom once, every component its scale; what is one
        covariance of all components has that once, too.
        """
        prior, (k, d) = self.prior, statistics.means.shape
        dof = d + 2 if prior.dof is None else prior.dof
        degrees, share = kind.conjugate(dof, d)
        scatter = statistics.layout.alike(_scale(statistics) * prior.scale * share, k)
        return PseudoRows(
            np.full(k, degrees / (k if kind.one_volume else 1) + (prior.shrinkage > 0)),
            scatter / (k if kind.shared and kind.layout.diagonal else 1),
            prior.shrinkage,
            statistics.mean(),
        )


def _scale(statistics: SufficientStatistics) -> Array:
    """var(X) / K^{2/D}: a matrix (D, D), or (D,) the mean of the variances."""
    (k, d), variance = statistics.means.shape, variance_of_rows(statistics)
    if statistics.layout.diagonal:
        variance = np.full(d, variance.mean())
    return variance / k ** (2 / d)
