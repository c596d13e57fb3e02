"""Proposals above the floor that every plain step is kept above."""

from __future__ import annotations

from gmm_dask.mixture.maximisation import smallest_variances
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.statistics import SufficientStatistics


def lifted(
    proposal: Mixture, statistics: SufficientStatistics, regularisation: Regularisation
) -> Mixture | None:
    """The proposal with covariances no thinner than an M-step could have made them."""
    kind, variance = proposal.kind, regularisation.reg_covar
    bare = kind.add(proposal.covariances, -variance)
    floored = kind.floor(bare, smallest_variances(statistics, regularisation))
    if not floored.components:
        return proposal
    covariances = kind.add(floored.covariances, variance)
    try:
        return Mixture(
            proposal.weights, proposal.means, covariances, proposal.family, proposal.noise
        )
    except ValueError:  # rounding took what was left: the plain step does better
        return None
