"""What every covariance family can do; the rest of the package knows families by this alone.

K components, D features. `covariances` always has the family's own (scikit-learn's) shape.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.arrays import Array, FamilyName, Indices, Layout


@dataclass(frozen=True)
class Floored:
    """Covariances lifted to a floor, and for which components that changed anything."""

    covariances: Array
    components: tuple[int, ...]


class Family(Protocol):
    """One family of covariances."""

    @property
    def name(self) -> FamilyName:
        """scikit-learn's name."""

    @property
    def layout(self) -> Layout:
        """The scatter that its M-step needs."""

    def shape(self, components: int, features: int) -> tuple[int, ...]:
        """The shape of its covariances."""

    def parameter_count(self, components: int, features: int) -> int:
        """Free parameters of its covariances."""

    def minimum_count(self, features: int) -> int:
        """Rows that a component needs for its covariance to be of full rank."""

    def maximise(self, counts: Array, scatter: Array) -> Array:
        """The M-step: covariances (K..) that maximise Q for these counts (K,) and scatter."""

    def add(self, covariances: Array, variance: float) -> Array:
        """Σ + variance·I."""

    def floor(self, covariances: Array, variances: Array) -> Floored:
        """Covariances no thinner than these variances (D,) and than rounding allows."""

    def factors(self, covariances: Array) -> Array:
        """Upper triangular U with Σ⁻¹ = U Uᵀ, in scikit-learn's shape of `precisions_cholesky_`."""

    def thinner(self, factors: Array, variance: float) -> NDArray[np.bool_]:
        """Whether each covariance of these factors is below this variance in some direction."""

    def from_factors(self, factors: Array) -> Array:
        """Precisions U Uᵀ in the family's shape."""

    def spread(self, values: Array, components: int, features: int) -> Array:
        """The same of every component: (K, D, D) matrices, or (K, D) diagonals."""

    def take(self, covariances: Array, components: Indices) -> Array:
        """The covariances of these components."""

    def marginal(self, covariances: Array, features: Indices) -> Array:
        """The covariances of these features alone."""

    def conditional(self, covariances: Array, kept: Indices, given: Indices) -> Array:
        """The covariances of the kept features once the given ones are known."""
