"""Full covariances: every component its own matrix, (K, D, D)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.arrays import Array, FamilyName, Indices, Layout
from gmm_dask.mixture.covariance.family import Floored
from gmm_dask.mixture.covariance.positive import (
    conditional_matrices,
    floor_matrices,
    thinner_matrices,
    triangular_factors,
)


@dataclass(frozen=True)
class Full:
    """Σ_k = S_k / n_k."""

    name: FamilyName = "full"
    layout: Layout = "outer"

    def shape(self, components: int, features: int) -> tuple[int, ...]:
        return (components, features, features)

    def parameter_count(self, components: int, features: int) -> int:
        return components * features * (features + 1) // 2

    def minimum_count(self, features: int) -> int:
        return features + 1

    def maximise(self, counts: Array, scatter: Array) -> Array:
        return scatter / counts[:, None, None]

    def add(self, covariances: Array, variance: float) -> Array:
        return covariances + variance * np.eye(covariances.shape[-1])

    def floor(self, covariances: Array, variances: Array) -> Floored:
        return Floored(*floor_matrices(covariances, variances))

    def factors(self, covariances: Array) -> Array:
        return triangular_factors(covariances)

    def thinner(self, factors: Array, variance: float) -> NDArray[np.bool_]:
        return thinner_matrices(factors, variance)

    def from_factors(self, factors: Array) -> Array:
        return factors @ factors.transpose(0, 2, 1)

    def spread(self, values: Array, components: int, features: int) -> Array:  # noqa: ARG002
        return values

    def take(self, covariances: Array, components: Indices) -> Array:
        return covariances[components]

    def marginal(self, covariances: Array, features: Indices) -> Array:
        return covariances[:, features[:, None], features]

    def conditional(self, covariances: Array, kept: Indices, given: Indices) -> Array:
        return conditional_matrices(covariances, kept, given)


FULL = Full()
