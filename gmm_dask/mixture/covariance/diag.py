"""Diagonal covariances: every component its own variances, (K, D)."""

import numpy as np

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.covariance.charts import CovarianceChart, VarianceChart
from gmm_dask.mixture.covariance.family import Floored
from gmm_dask.mixture.covariance.positive import floor_variances
from gmm_dask.mixture.covariance.variances import Variances, variance_slopes


class Diag(Variances):
    """σ²_kd = S_kd / n_k."""

    name = "diag"
    colour, marker = "#009E73", "^"

    def shape(self, components: int, features: int) -> tuple[int, ...]:
        return (components, features)

    def parameter_count(self, components: int, features: int) -> int:
        return components * features

    def maximise(self, counts: Array, scatter: Array) -> Array:
        return scatter / counts[:, None]

    def slope(self, precisions: Array, counts: Array, second: Array) -> Array:
        return variance_slopes(precisions, counts, second)

    def floor(self, covariances: Array, variances: Array) -> Floored:
        return Floored(*floor_variances(covariances, variances))

    def spread(self, values: Array, components: int, features: int) -> Array:
        return values

    def marginal(self, covariances: Array, features: Indices) -> Array:
        return covariances[:, features]

    def chart(self, weights: Array, covariances: Array, features: int) -> CovarianceChart:
        roots = np.sqrt(weights)[:, None] * np.sqrt(1 / 2)
        return VarianceChart(covariances, roots, np.sqrt(covariances))


DIAG = Diag()
