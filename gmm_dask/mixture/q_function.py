"""Q(θ, θ*) and its gradient, from sufficient statistics alone: no further pass over the rows."""

from __future__ import annotations

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.textbook import Parameters


def expected_log_likelihood(mixture: Mixture, statistics: SufficientStatistics) -> float:
    """Q(θ, θ*), the expected complete-data log-likelihood, of statistics gathered at θ*:

    Q = Σ_k n_k (log π_k − ½ log |2π Σ_k|) − ½ Σ_k tr Σ_k⁻¹ (S_k + n_k (m_k − μ_k)(m_k − μ_k)ᵀ)

    and n_0 log π_0 / V of noise.
    """
    second = second_moments(mixture, statistics)
    distances = statistics.layout.inner(mixture.spread(mixture.precisions), second)
    return float(statistics.all_counts @ mixture.terms.log_normalisers) - 0.5 * distances


def second_moments(mixture: Mixture, statistics: SufficientStatistics) -> Array:
    """Σ_n r_nk (x_n − μ_k)(x_n − μ_k)ᵀ about the mixture's means, in the statistics' layout."""
    layout = mixture.kind.layout
    if statistics.layout != layout or statistics.means.shape != mixture.means.shape:
        raise Refusal(
            f"{mixture.family} mixtures of means {mixture.means.shape} need {layout.name} "
            f"statistics, these are {statistics.layout.name} of means {statistics.means.shape}"
        )
    offsets = statistics.means - mixture.means
    return statistics.scatter + layout.between(statistics.counts, offsets)


def gradient(mixture: Mixture, statistics: SufficientStatistics) -> Parameters:
    """The gradient of Q(θ, θ*) at θ; where θ = θ* this is the gradient of L (Fisher's identity).

    n_k / π_k;  n_k Σ_k⁻¹ (m_k − μ_k);  ½ Σ_k⁻¹ (M_k − n_k Σ_k) Σ_k⁻¹, where M_k are the
    second moments Σ_n r_nk (x_n − μ_k)(x_n − μ_k)ᵀ.
    """
    offsets = (statistics.means - mixture.means) * statistics.counts[:, None]
    precisions = mixture.spread(mixture.precisions)
    if mixture.diagonal:
        by_mean = precisions * offsets
    else:
        by_mean = np.einsum("kde,ke->kd", precisions, offsets)
    by_covariance = mixture.kind.slope(
        precisions, statistics.counts, second_moments(mixture, statistics)
    )
    return Parameters(lagrange_multipliers(mixture, statistics), by_mean, by_covariance)


def lagrange_multipliers(mixture: Mixture, statistics: SufficientStatistics) -> Array:
    """n_k / π_k (K,) = ∂Q/∂π_k: at the M-step's solution the total weight, the same for every k."""
    return statistics.all_counts / mixture.all_weights
