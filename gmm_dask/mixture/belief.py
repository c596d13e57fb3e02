"""What a fit believes beside the rows: nothing, a prior, or a whole posterior.

The loop carries mixtures, and asks a belief what of them to show to the passes, what to add to the
statistics before the M-step, and how much of what it raises is not of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gmm_dask.mixture.conjugate import Conjugate
from gmm_dask.mixture.covariance.family import Family
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.prior import VariationalPrior
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.variational import Variational


class Belief(Protocol):
    """What the loop asks."""

    @property
    def only_rows(self) -> bool:
        """Whether a component with too few of them is degenerate."""

    def expected(self, mixture: Mixture) -> Mixture:
        """What passes are shown of a mixture: its log-densities are those that are expected."""

    def added(
        self, statistics: SufficientStatistics, kind: Family, reg_covar: float
    ) -> tuple[SufficientStatistics, float]:
        """The statistics that the M-step is of, and what it adds to the variances."""

    def log_density(self, statistics: SufficientStatistics, mixture: Mixture) -> float:
        """What is added to the log-likelihood: the sum of both is what EM raises."""


@dataclass(frozen=True)
class Likelihood:
    """The rows and nothing else."""

    only_rows = True

    def expected(self, mixture: Mixture) -> Mixture:
        """The mixture itself."""
        return mixture

    def added(
        self,
        statistics: SufficientStatistics,
        kind: Family,  # noqa: ARG002
        reg_covar: float,
    ) -> tuple[SufficientStatistics, float]:
        """They are as they are."""
        return statistics, reg_covar

    def log_density(
        self,
        statistics: SufficientStatistics,  # noqa: ARG002
        mixture: Mixture,  # noqa: ARG002
    ) -> float:
        """Nothing."""
        return 0.0


def belief_of(regularisation: Regularisation) -> Belief:
    """That of a fit."""
    prior = regularisation.prior
    if prior is None:
        return Likelihood()
    if isinstance(prior, VariationalPrior):
        return Variational(prior, regularisation.weight)
    return Conjugate(prior)
