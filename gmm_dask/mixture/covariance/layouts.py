"""How scatter is kept: every component's matrix, the sum of them, or their diagonals.

K components, D features. Whoever has scatter asks its layout; none of them is known by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.triangles import lower_triangle


class Layout(ABC):
    """One way to keep scatter; layouts of one class are equal."""

    name: ClassVar[str]
    """What checkpoints call it."""
    diagonal: ClassVar[bool]
    """Whether there are but variances, and quadratic features need no products of two."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    @abstractmethod
    def shape(self, components: int, features: int) -> tuple[int, ...]:
        """The shape of scatter."""

    @abstractmethod
    def matrices(self, components: int) -> int:
        """How many D × D matrices that is."""

    @abstractmethod
    def add(self, scatter: Array, component: int, deviations: Array) -> None:
        """Add Σ d dᵀ of a component's deviations (N, D) from its mean, in place."""

    @abstractmethod
    def between(self, weights: Array, differences: Array) -> Array:
        """w_k d_k d_kᵀ of weights (K,) and rows (K, D); exactly symmetric."""

    @abstractmethod
    def about_means(self, second: Array, counts: Array, means: Array, scale: Array) -> Array:
        """Scatter in units of the rows, of second moments and means in units of a scale (D,); the
        second moments, (K, D, D) or their diagonals (K, D), may be overwritten."""

    @abstractmethod
    def squares(self, scatter: Array) -> Array:
        """The diagonal of the scatter of all components, (D,)."""

    @abstractmethod
    def pooled(self, scatter: Array) -> Array:
        """The scatter of all components together, (D, D) or its diagonal (D,)."""

    @abstractmethod
    def alike(self, scatter: Array, components: int) -> Array:
        """Scatter in which every component has this, (D, D) or (D,); all of them once where there
        is but their sum."""

    @abstractmethod
    def ridge(self, variances: Array, features: int) -> Array:
        """Scatter of variances (K,) alone, the same in every feature."""

    @abstractmethod
    def inner(self, precisions: Array, scatter: Array) -> float:
        """Σ_k tr Σ_k⁻¹ S_k, of precisions (K, D, D) or (K, D)."""

    @abstractmethod
    def lent(self, scatter: Array, rows: Array, count: float, variance: Array) -> Array:
        """Scatter in which components have borrowed so many rows (K,) of the average one; where
        that has no extent in a feature, of the variance (D,) of all rows."""

    @abstractmethod
    def pack(self, covariances: Array) -> Array:
        """What tells covariances apart: of symmetric matrices the lower triangles."""

    @abstractmethod
    def unpack(self, packed: Array, shape: tuple[int, ...]) -> Array:
        """The covariances of this shape that were packed."""


class Outer(Layout):
    """Every component's own matrix, (K, D, D)."""

    name = "outer"
    diagonal = False

    def shape(self, components: int, features: int) -> tuple[int, ...]:
        return (components, features, features)

    def matrices(self, components: int) -> int:
        return components

    def add(self, scatter: Array, component: int, deviations: Array) -> None:
        scatter[component] += deviations.T @ deviations  # by its own transpose: half is made

    def between(self, weights: Array, differences: Array) -> Array:
        return weights[:, None, None] * (differences[:, :, None] * differences[:, None, :])

    def about_means(self, second: Array, counts: Array, means: Array, scale: Array) -> Array:
        second -= OUTER.between(counts, means)
        second *= np.outer(scale, scale)  # powers of two: exact in any order
        return second

    def squares(self, scatter: Array) -> Array:
        return np.diagonal(scatter, axis1=-2, axis2=-1).sum(axis=0)

    def pooled(self, scatter: Array) -> Array:
        return scatter.sum(axis=0)

    def alike(self, scatter: Array, components: int) -> Array:
        return np.broadcast_to(scatter, (components, *scatter.shape))

    def ridge(self, variances: Array, features: int) -> Array:
        return variances[:, None, None] * np.eye(features)

    def inner(self, precisions: Array, scatter: Array) -> float:
        return float(np.vdot(precisions, scatter))

    def lent(self, scatter: Array, rows: Array, count: float, variance: Array) -> Array:
        average = scatter.sum(axis=0) / count
        if not np.diagonal(average).all():
            average = average + np.diag(variance)
        return scatter + rows[:, None, None] * average

    def pack(self, covariances: Array) -> Array:
        return covariances[..., *lower_triangle(covariances.shape[-1])]

    def unpack(self, packed: Array, shape: tuple[int, ...]) -> Array:
        rows, columns = lower_triangle(shape[-1])
        matrices = np.empty(shape, packed.dtype)
        matrices[..., rows, columns] = packed.reshape(*shape[:-2], -1)
        matrices[..., columns, rows] = matrices[..., rows, columns]
        return matrices


class Pooled(Outer):
    """The sum of all components' matrices, (D, D)."""

    name = "pooled"

    def shape(self, components: int, features: int) -> tuple[int, ...]:
        return (features, features)

    def matrices(self, components: int) -> int:
        return 1

    def add(self, scatter: Array, component: int, deviations: Array) -> None:
        scatter += deviations.T @ deviations

    def between(self, weights: Array, differences: Array) -> Array:
        scaled = np.sqrt(weights)[:, None] * differences
        return scaled.T @ scaled

    def about_means(self, second: Array, counts: Array, means: Array, scale: Array) -> Array:
        return super().about_means(second, counts, means, scale).sum(axis=0)

    def squares(self, scatter: Array) -> Array:
        return np.diagonal(scatter)

    def pooled(self, scatter: Array) -> Array:
        return scatter

    def alike(self, scatter: Array, components: int) -> Array:
        return scatter

    def ridge(self, variances: Array, features: int) -> Array:
        return variances.sum() * np.eye(features)

    def inner(self, precisions: Array, scatter: Array) -> float:
        return float(np.vdot(precisions[0], scatter))

    def lent(self, scatter: Array, rows: Array, count: float, variance: Array) -> Array:
        return scatter


class Squares(Layout):
    """The diagonal of every component's matrix, (K, D)."""

    name = "squares"
    diagonal = True

    def shape(self, components: int, features: int) -> tuple[int, ...]:
        return (components, features)

    def matrices(self, components: int) -> int:
        return 0

    def add(self, scatter: Array, component: int, deviations: Array) -> None:
        scatter[component] += np.einsum("nd,nd->d", deviations, deviations)

    def between(self, weights: Array, differences: Array) -> Array:
        return weights[:, None] * differences**2

    def about_means(self, second: Array, counts: Array, means: Array, scale: Array) -> Array:
        return (second - self.between(counts, means)) * scale**2

    def squares(self, scatter: Array) -> Array:
        return scatter.sum(axis=0)

    def pooled(self, scatter: Array) -> Array:
        return scatter.sum(axis=0)

    def alike(self, scatter: Array, components: int) -> Array:
        return np.broadcast_to(scatter, (components, *scatter.shape))

    def ridge(self, variances: Array, features: int) -> Array:
        return np.repeat(variances[:, None], features, axis=1)

    def inner(self, precisions: Array, scatter: Array) -> float:
        return float(np.vdot(precisions, scatter))

    def lent(self, scatter: Array, rows: Array, count: float, variance: Array) -> Array:
        average = scatter.sum(axis=0) / count
        if not average.all():
            average = average + variance
        return scatter + rows[:, None] * average

    def pack(self, covariances: Array) -> Array:
        return covariances

    def unpack(self, packed: Array, shape: tuple[int, ...]) -> Array:
        return packed.reshape(shape)


OUTER, POOLED, SQUARES = Outer(), Pooled(), Squares()
