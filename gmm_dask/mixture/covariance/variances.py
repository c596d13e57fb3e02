"""What families of variances share: covariances that are diagonal, and kept as such."""

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.covariance.family import Family
from gmm_dask.mixture.covariance.layouts import SQUARES
from gmm_dask.mixture.covariance.positive import square_root_factors


class Variances(Family):
    """A family whose covariances are variances, the component on their first axis."""

    layout = SQUARES

    def minimum_count(self, features: int) -> int:
        return 2

    def conjugate(self, dof: float, features: int) -> tuple[float, float]:
        return dof + 2, 1.0

    def add(self, covariances: Array, variance: float) -> Array:
        return covariances + variance

    def factors(self, covariances: Array) -> Array:
        return square_root_factors(covariances)

    def thinner(self, factors: Array, variance: float) -> NDArray[np.bool_]:
        thin: NDArray[np.bool_] = factors.reshape(len(factors), -1).max(axis=1) ** 2 * variance > 1
        return thin

    def from_factors(self, factors: Array) -> Array:
        return factors**2

    def take(self, covariances: Array, components: Indices) -> Array:
        return covariances[components]

    def conditional(self, covariances: Array, kept: Indices, given: Indices) -> Array:
        return self.marginal(covariances, kept)


class SharedVariances(Variances):
    """A family of variances that are the same in all components: their first axis is 1."""

    shared = one_volume = True

    def minimum_count(self, features: int) -> int:
        return 1

    def spread(self, values: Array, components: int, features: int) -> Array:
        return np.broadcast_to(values, (components, features))

    def take(self, covariances: Array, components: Indices) -> Array:
        return covariances


def variance_slopes(precisions: Array, counts: Array, second: Array) -> Array:
    """∂Q/∂σ²_kd (K, D), as if all of them were free."""
    return 0.5 * (precisions**2 * second - counts[:, None] * precisions)
