"""Tied covariances: one matrix shared by all components, (D, D)."""

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
class Tied:
    """Σ = Σ_k S_k / Σ_k n_k."""

    name: FamilyName = "tied"
    layout: Layout = "pooled"

    def shape(self, components: int, features: int) -> tuple[int, ...]:  # noqa: ARG002
        return (features, features)

    def parameter_count(self, components: int, features: int) -> int:  # noqa: ARG002
        return features * (features + 1) // 2

    def minimum_count(self, features: int) -> int:  # noqa: ARG002
        return 1

    def maximise(self, counts: Array, scatter: Array) -> Array:
        return scatter / counts.sum()

    def add(self, covariances: Array, variance: float) -> Array:
        return covariances + variance * np.eye(len(covariances))

    def floor(self, covariances: Array, variances: Array) -> Floored:
        matrices, changed = floor_matrices(covariances[None], variances)
        return Floored(matrices[0], changed)

    def factors(self, covariances: Array) -> Array:
        return triangular_factors(covariances[None])[0]

    def thinner(self, factors: Array, variance: float) -> NDArray[np.bool_]:
        return thinner_matrices(factors[None], variance)

    def from_factors(self, factors: Array) -> Array:
        return factors @ factors.T

    def spread(self, values: Array, components: int, features: int) -> Array:
        return np.broadcast_to(values, (components, features, features))

    def take(self, covariances: Array, components: Indices) -> Array:  # noqa: ARG002
        return covariances

    def marginal(self, covariances: Array, features: Indices) -> Array:
        return covariances[features[:, None], features]

    def conditional(self, covariances: Array, kept: Indices, given: Indices) -> Array:
        return conditional_matrices(covariances[None], kept, given)[0]


TIED = Tied()
