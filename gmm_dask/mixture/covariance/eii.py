"""EII: one variance for all components and features, (1,)."""

import numpy as np

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.covariance.charts import CovarianceChart, VarianceChart, of_gaussians
from gmm_dask.mixture.covariance.family import Floored
from gmm_dask.mixture.covariance.positive import floor_variances
from gmm_dask.mixture.covariance.variances import SharedVariances, variance_slopes


class Eii(SharedVariances):
    """λ = Σ_kd S_kd / (D n)."""

    name = "EII"
    colour, marker = "#7F3C8D", "P"

    def shape(self, components: int, features: int) -> tuple[int, ...]:
        return (1,)

    def parameter_count(self, components: int, features: int) -> int:
        return 1

    def conjugate(self, dof: float, features: int) -> tuple[float, float]:
        return (dof + 2) / features, 1 / features

    def maximise(self, counts: Array, scatter: Array) -> Array:
        return np.array([scatter.sum() / (scatter.shape[1] * counts.sum())])

    def slope(self, precisions: Array, counts: Array, second: Array) -> Array:
        return variance_slopes(precisions, counts, second).sum(keepdims=True)[0]

    def floor(self, covariances: Array, variances: Array) -> Floored:
        lifted, changed = floor_variances(covariances[:, None], variances.mean(keepdims=True))
        return Floored(lifted[:, 0], changed)

    def marginal(self, covariances: Array, features: Indices) -> Array:
        return covariances

    def chart(self, weights: Array, covariances: Array, features: int) -> CovarianceChart:
        deviations = np.sqrt(self.spread(covariances, len(weights), features))
        return VarianceChart(
            covariances, np.sqrt([of_gaussians(weights) * features / 2]), deviations, shared=True
        )


EII = Eii()
