"""A covariance family of one's own: one variance for all components and features, (1,).

mclust's EII. All that this package knows of it is in this file, and its name.
"""

import numpy as np

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.covariance.charts import CovarianceChart, VarianceChart
from gmm_dask.mixture.covariance.family import Floored
from gmm_dask.mixture.covariance.positive import floor_variances
from gmm_dask.mixture.covariance.variances import Variances, variance_slopes


class Toy(Variances):
    """σ² = Σ_kd S_kd / (D Σ_k n_k)."""

    name, shared = "toy", True
    colour, marker = "#8C6D1F", "P"

    def shape(self, components: int, features: int) -> tuple[int, ...]:
        return (1,)

    def parameter_count(self, components: int, features: int) -> int:
        return 1

    def maximise(self, counts: Array, scatter: Array) -> Array:
        return np.array([scatter.sum() / (scatter.shape[1] * counts.sum())])

    def slope(self, precisions: Array, counts: Array, second: Array) -> Array:
        return variance_slopes(precisions, counts, second).sum(keepdims=True)[0]

    def floor(self, covariances: Array, variances: Array) -> Floored:
        lifted, changed = floor_variances(covariances[:, None], variances.mean(keepdims=True))
        return Floored(lifted[:, 0], changed)

    def spread(self, values: Array, components: int, features: int) -> Array:
        return np.broadcast_to(values, (components, features))

    def take(self, covariances: Array, components: Indices) -> Array:
        return covariances

    def marginal(self, covariances: Array, features: Indices) -> Array:
        return covariances

    def chart(self, weights: Array, covariances: Array, features: int) -> CovarianceChart:
        deviations = np.sqrt(self.spread(covariances, len(weights), features))
        return VarianceChart(covariances, np.sqrt([features / 2]), deviations, shared=True)


TOY = Toy()
