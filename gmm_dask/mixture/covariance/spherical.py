"""Spherical covariances: every component one variance for all features, (K,)."""

import numpy as np

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.covariance.charts import CovarianceChart, VarianceChart
from gmm_dask.mixture.covariance.family import Floored
from gmm_dask.mixture.covariance.positive import floor_variances
from gmm_dask.mixture.covariance.variances import Variances, variance_slopes


class Spherical(Variances):
    """σ²_k = Σ_d S_kd / (D n_k)."""

    name = "spherical"
    colour, marker = "#CC79A7", "D"

    def shape(self, components: int, features: int) -> tuple[int, ...]:
        return (components,)

    def parameter_count(self, components: int, features: int) -> int:
        return components

    def conjugate(self, dof: float, features: int) -> tuple[float, float]:
        return (dof + 2) / features, 1 / features

    def maximise(self, counts: Array, scatter: Array) -> Array:
        return (scatter / counts[:, None]).mean(axis=1)

    def slope(self, precisions: Array, counts: Array, second: Array) -> Array:
        return variance_slopes(precisions, counts, second).sum(axis=1)

    def floor(self, covariances: Array, variances: Array) -> Floored:
        lifted, changed = floor_variances(covariances[:, None], variances.mean(keepdims=True))
        return Floored(lifted[:, 0], changed)

    def spread(self, values: Array, components: int, features: int) -> Array:
        return np.broadcast_to(values[:, None], (components, features))

    def marginal(self, covariances: Array, features: Indices) -> Array:
        return covariances

    def chart(self, weights: Array, covariances: Array, features: int) -> CovarianceChart:
        deviations = np.sqrt(self.spread(covariances, len(weights), features))
        return VarianceChart(covariances, np.sqrt(weights) * np.sqrt(features / 2), deviations)


SPHERICAL = Spherical()
