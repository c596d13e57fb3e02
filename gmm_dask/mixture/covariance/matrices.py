"""What families of covariance matrices share: (K, D, D), or one (D, D) for all components."""

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.covariance.charts import CovarianceChart, FactorChart, of_gaussians
from gmm_dask.mixture.covariance.family import Family, Floored
from gmm_dask.mixture.covariance.positive import (
    conditional_matrices,
    floor_matrices,
    thinner_matrices,
    triangular_factors,
)


class Matrices(Family):
    """A family whose covariances are symmetric matrices."""

    def conjugate(self, dof: float, features: int) -> tuple[float, float]:
        return dof + features + 1, 1.0

    def add(self, covariances: Array, variance: float) -> Array:
        return covariances + variance * np.eye(covariances.shape[-1])

    def floor(self, covariances: Array, variances: Array) -> Floored:
        matrices, changed = floor_matrices(stacked(covariances), variances)
        return Floored(matrices.reshape(covariances.shape), changed)

    def factors(self, covariances: Array) -> Array:
        return triangular_factors(stacked(covariances)).reshape(covariances.shape)

    def thinner(self, factors: Array, variance: float) -> NDArray[np.bool_]:
        return thinner_matrices(stacked(factors), variance)

    def from_factors(self, factors: Array) -> Array:
        return factors @ np.swapaxes(factors, -1, -2)

    def marginal(self, covariances: Array, features: Indices) -> Array:
        return covariances[..., features[:, None], features]

    def conditional(self, covariances: Array, kept: Indices, given: Indices) -> Array:
        conditional = conditional_matrices(stacked(covariances), kept, given)
        return conditional if covariances.ndim == 3 else conditional[0]

    def chart(self, weights: Array, covariances: Array, features: int) -> CovarianceChart:
        roots = np.sqrt([[of_gaussians(weights)]] if self.shared else weights[:, None])
        return FactorChart(stacked(covariances), roots, covariances.shape, self.shared)


def stacked(matrices: Array) -> Array:
    """Matrices (K, D, D), K being 1 where there is one alone."""
    return matrices if matrices.ndim == 3 else matrices[None]
