"""Coordinates of covariances around an origin, in which EM is close to linear.

With those of weights and means (`acceleration/chart.py`) they make the Fisher information of the
complete data the identity at the origin.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.covariance.triangles import lower_triangle

ROUNDING = 1e-6
"""What weights may sum to beside 1."""
AT_ONCE = 2**18
"""Numbers of covariances worked on at a time: temporaries stay small beside many large matrices."""


class CovarianceChart(Protocol):
    """Coordinates around covariances Σ₀ = C Cᵀ, which have coordinates 0."""

    def whiten(self, offsets: Array) -> Array:
        """C⁻¹ d of offsets (…, K, D)."""

    def unwhiten(self, whitened: Array) -> Array:
        """C z of whitened offsets (K, D)."""

    def coordinates(self, packed: Array) -> tuple[Array, ...]:
        """Of covariances as vectors (…, P), packed as their layout does; one after the other."""

    def covariances(self, coordinates: Array) -> Array:
        """The covariances there."""

    def by_component(self, coordinates: Array, components: int) -> tuple[Array, ...]:
        """Those that are a component's own, (K, ·) each."""

    def shared_square(self, coordinates: Array) -> float:
        """The squared length of those that all components share."""


def of_gaussians(weights: Array) -> float:
    """The weight of all Gaussians: 1, whatever rounding says, but beside noise."""
    total = float(weights.sum())
    return 1.0 if abs(total - 1) < ROUNDING else total


class VarianceChart:
    """Of variances: log(σ²/σ₀²) times √(w/2) for each feature that has it, as `roots`."""

    def __init__(
        self, variances: Array, roots: Array, deviations: Array, shared: bool = False
    ) -> None:
        self.origin, self.roots, self.deviations, self.shared = variances, roots, deviations, shared

    def whiten(self, offsets: Array) -> Array:
        return offsets / self.deviations

    def unwhiten(self, whitened: Array) -> Array:
        return whitened * self.deviations

    def coordinates(self, packed: Array) -> tuple[Array, ...]:
        many = packed.shape[:-1]
        logs = np.log(packed.reshape(*many, *self.origin.shape) / self.origin)
        return ((self.roots * logs).reshape(*many, -1),)

    def covariances(self, coordinates: Array) -> Array:
        return self.origin * np.exp(coordinates.reshape(self.origin.shape) / self.roots)

    def by_component(self, coordinates: Array, components: int) -> tuple[Array, ...]:
        return () if self.shared else (coordinates.reshape(components, -1),)

    def shared_square(self, coordinates: Array) -> float:
        return float(coordinates @ coordinates) if self.shared else 0.0


class FactorChart:
    """Of matrices: the logarithm of the diagonal (times √2) and the rest of the Cholesky factor of
    C⁻¹ Σ C⁻ᵀ, times √w as `roots`."""

    def __init__(
        self, matrices: Array, roots: Array, shape: tuple[int, ...], shared: bool = False
    ) -> None:
        self.lower: Array = np.asarray(np.linalg.cholesky(matrices), np.float64)
        self.roots, self.shape, self.shared = roots, shape, shared

    def whiten(self, offsets: Array) -> Array:
        whitened: Array = np.linalg.solve(self.lower, offsets[..., None])[..., 0]
        return whitened

    def unwhiten(self, whitened: Array) -> Array:
        offsets: Array = (self.lower @ whitened[:, :, None])[:, :, 0]
        return offsets

    def coordinates(self, packed: Array) -> tuple[Array, ...]:
        """Diagonals, then what is below them."""
        lower, below, many = self.lower, self._below(), packed.shape[:-1]
        count, d, _ = lower.shape
        packed = packed.reshape(*many, count, -1)
        diagonals, rest = np.empty((*many, count, d)), np.empty((*many, count, len(below[0])))
        for part in _parts(lower):
            matrices = _whole(packed[..., part, :], d)
            factors = np.linalg.solve(lower[part], np.linalg.cholesky(matrices))
            logs = np.log(np.diagonal(factors, axis1=-2, axis2=-1))
            diagonals[..., part, :] = logs * np.sqrt(2)
            rest[..., part, :] = factors[..., *below]
        return tuple((self.roots * one).reshape(*many, -1) for one in (diagonals, rest))

    def covariances(self, coordinates: Array) -> Array:
        lower, index = self.lower, np.arange(self.lower.shape[1])
        diagonals, below = self._split(coordinates)
        matrices = np.empty_like(lower)
        roots = np.broadcast_to(self.roots, (len(lower), 1))
        for part in _parts(lower):
            factors = np.zeros_like(lower[part])
            factors[:, index, index] = np.exp(diagonals[part] / roots[part] / np.sqrt(2))
            factors[:, *self._below()] = below[part] / roots[part]
            product = lower[part] @ factors
            squares = product @ product.transpose(0, 2, 1)
            matrices[part] = (squares + squares.transpose(0, 2, 1)) / 2
        return matrices.reshape(self.shape)

    def by_component(self, coordinates: Array, components: int) -> tuple[Array, ...]:
        return () if self.shared else self._split(coordinates)

    def shared_square(self, coordinates: Array) -> float:
        return float(coordinates @ coordinates) if self.shared else 0.0

    def _split(self, coordinates: Array) -> tuple[Array, Array]:
        count, d, _ = self.lower.shape
        diagonals, below = np.split(coordinates, [count * d])
        return diagonals.reshape(count, d), below.reshape(count, -1)

    def _below(self) -> tuple[Indices, Indices]:
        return lower_triangle(self.lower.shape[1], -1)


def _parts(matrices: Array) -> Iterator[slice]:
    step = max(1, AT_ONCE // matrices[0].size)
    return (slice(first, first + step) for first in range(0, len(matrices), step))


def _whole(packed: Array, features: int) -> Array:
    """Matrices (…, D, D) with these lower triangles, which are all that Cholesky factors need.

    Vectors that earlier versions have stored hold whole matrices.
    """
    shape = *packed.shape[:-1], features, features
    if packed.shape[-1] == features**2:
        return packed.reshape(shape)
    matrices = np.zeros(shape)
    matrices[..., *lower_triangle(features)] = packed
    return matrices
