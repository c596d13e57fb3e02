"""Diagonal covariances: every component its own variances, (K, D)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.arrays import Array, FamilyName, Indices, Layout
from gmm_dask.mixture.covariance.family import Floored
from gmm_dask.mixture.covariance.positive import floor_variances, square_root_factors


@dataclass(frozen=True)
class Diag:
    """σ²_kd = S_kd / n_k."""

    name: FamilyName = "diag"
    layout: Layout = "squares"

    def shape(self, components: int, features: int) -> tuple[int, ...]:
        return (components, features)

    def parameter_count(self, components: int, features: int) -> int:
        return components * features

    def minimum_count(self, features: int) -> int:  # noqa: ARG002
        return 2

    def maximise(self, counts: Array, scatter: Array) -> Array:
        return scatter / counts[:, None]

    def add(self, covariances: Array, variance: float) -> Array:
        return covariances + variance

    def floor(self, covariances: Array, variances: Array) -> Floored:
        return Floored(*floor_variances(covariances, variances))

    def factors(self, covariances: Array) -> Array:
        return square_root_factors(covariances)

    def thinner(self, factors: Array, variance: float) -> NDArray[np.bool_]:
        thin: NDArray[np.bool_] = factors.max(axis=1) ** 2 * variance > 1
        return thin

    def from_factors(self, factors: Array) -> Array:
        return factors**2

    def spread(self, values: Array, components: int, features: int) -> Array:  # noqa: ARG002
        return values

    def take(self, covariances: Array, components: Indices) -> Array:
        return covariances[components]

    def marginal(self, covariances: Array, features: Indices) -> Array:
        return covariances[:, features]

    def conditional(self, covariances: Array, kept: Indices, given: Indices) -> Array:  # noqa: ARG002
        return self.marginal(covariances, kept)


DIAG = Diag()
