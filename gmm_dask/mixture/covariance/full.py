"""Full covariances: every component its own matrix, (K, D, D)."""

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.covariance.layouts import OUTER
from gmm_dask.mixture.covariance.matrices import Matrices


class Full(Matrices):
    """Σ_k = S_k / n_k."""

    name, layout = "full", OUTER
    colour, marker = "#0072B2", "o"

    def shape(self, components: int, features: int) -> tuple[int, ...]:
        return (components, features, features)

    def parameter_count(self, components: int, features: int) -> int:
        return components * features * (features + 1) // 2

    def minimum_count(self, features: int) -> int:
        return features + 1

    def maximise(self, counts: Array, scatter: Array) -> Array:
        return scatter / counts[:, None, None]

    def slope(self, precisions: Array, counts: Array, second: Array) -> Array:
        return 0.5 * (precisions @ second @ precisions - counts[:, None, None] * precisions)

    def spread(self, values: Array, components: int, features: int) -> Array:
        return values

    def take(self, covariances: Array, components: Indices) -> Array:
        return covariances[components]


FULL = Full()
