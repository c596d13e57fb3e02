"""Spherical covariances: every component one variance for all features, (K,)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.arrays import Array, FamilyName, Indices, Layout
from gmm_dask.mixture.covariance.family import Floored
from gmm_dask.mixture.covariance.positive import floor_variances, square_root_factors


@dataclass(frozen=True)
class Spherical:
    """σ²_k = Σ_d S_kd / (D n_k)."""

    name: FamilyName = "spherical"
    layout: Layout = "squares"

    def shape(self, components: int, features: int) -> tuple[int, ...]:  # noqa: ARG002
        return (components,)

    def parameter_count(self, components: int, features: int) -> int:  # noqa: ARG002
        return components

    def minimum_count(self, features: int) -> int:  # noqa: ARG002
        return 2

    def maximise(self, counts: Array, scatter: Array) -> Array:
        return (scatter / counts[:, None]).mean(axis=1)

    def add(self, covariances: Array, variance: float) -> Array:
        return covariances + variance

    def floor(self, covariances: Array, variances: Array) -> Floored:
        lifted, changed = floor_variances(covariances[:, None], variances.mean(keepdims=True))
        return Floored(lifted[:, 0], changed)

    def factors(self, covariances: Array) -> Array:
        return square_root_factors(covariances)

    def thinner(self, factors: Array, variance: float) -> NDArray[np.bool_]:
        thin: NDArray[np.bool_] = factors**2 * variance > 1
        return thin

    def from_factors(self, factors: Array) -> Array:
        return factors**2

    def spread(self, values: Array, components: int, features: int) -> Array:
        return np.broadcast_to(values[:, None], (components, features))

    def take(self, covariances: Array, components: Indices) -> Array:
        return covariances[components]

    def marginal(self, covariances: Array, features: Indices) -> Array:  # noqa: ARG002
        return covariances

    def conditional(self, covariances: Array, kept: Indices, given: Indices) -> Array:  # noqa: ARG002
        return covariances


SPHERICAL = Spherical()
