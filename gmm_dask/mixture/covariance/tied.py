"""Tied covariances: one matrix shared by all components, (D, D)."""

import numpy as np

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.covariance.layouts import POOLED
from gmm_dask.mixture.covariance.matrices import Matrices


class Tied(Matrices):
    """Σ = Σ_k S_k / Σ_k n_k."""

    name, layout = "tied", POOLED
    shared = one_volume = True
    colour, marker = "#D55E00", "s"

    def shape(self, components: int, features: int) -> tuple[int, ...]:
        return (features, features)

    def parameter_count(self, components: int, features: int) -> int:
        return features * (features + 1) // 2

    def minimum_count(self, features: int) -> int:
        return 1

    def maximise(self, counts: Array, scatter: Array) -> Array:
        return scatter / counts.sum()

    def slope(self, precisions: Array, counts: Array, second: Array) -> Array:
        shared = precisions[0]
        return 0.5 * (shared @ second @ shared - counts.sum() * shared)

    def spread(self, values: Array, components: int, features: int) -> Array:
        return np.broadcast_to(values, (components, features, features))

    def take(self, covariances: Array, components: Indices) -> Array:
        return covariances


TIED = Tied()
