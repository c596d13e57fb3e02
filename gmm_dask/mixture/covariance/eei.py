"""EEI: the same variances in all components, (1, D)."""

import numpy as np

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.covariance.charts import CovarianceChart, VarianceChart, of_gaussians
from gmm_dask.mixture.covariance.family import Floored
from gmm_dask.mixture.covariance.positive import floor_variances
from gmm_dask.mixture.covariance.variances import SharedVariances, variance_slopes


class Eei(SharedVariances):
    """σ²_d = Σ_k S_kd / n."""

    name = "EEI"
    colour, marker = "#11A579", "X"

    def shape(self, components: int, features: int) -> tuple[int, ...]:
        return (1, features)

    def parameter_count(self, components: int, features: int) -> int:
        return features

    def maximise(self, counts: Array, scatter: Array) -> Array:
        return scatter.sum(axis=0, keepdims=True) / counts.sum()

    def slope(self, precisions: Array, counts: Array, second: Array) -> Array:
        return variance_slopes(precisions, counts, second).sum(axis=0, keepdims=True)

    def floor(self, covariances: Array, variances: Array) -> Floored:
        return Floored(*floor_variances(covariances, variances))

    def marginal(self, covariances: Array, features: Indices) -> Array:
        return covariances[:, features]

    def chart(self, weights: Array, covariances: Array, features: int) -> CovarianceChart:
        deviations = np.sqrt(self.spread(covariances, len(weights), features))
        return VarianceChart(
            covariances, np.sqrt([[of_gaussians(weights) / 2]]), deviations, shared=True
        )


EEI = Eei()
