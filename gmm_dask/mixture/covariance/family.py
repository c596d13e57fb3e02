"""What every covariance family can do; the rest of the package knows families by this alone.

K components, D features. `covariances` always has the family's own (scikit-learn's) shape.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from numpy import bool_
from numpy.typing import NDArray

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.covariance.charts import CovarianceChart
from gmm_dask.mixture.covariance.layouts import Layout


@dataclass(frozen=True)
class Floored:
    """Covariances lifted to a floor, and for which components that changed anything."""

    covariances: Array
    components: tuple[int, ...]


class Family(ABC):
    """One family of covariances; `Matrices` and `Variances` have what most of them share."""

    name: ClassVar[str]
    """scikit-learn's, where it has one."""
    layout: ClassVar[Layout]
    """The scatter that its M-step needs."""
    shared: ClassVar[bool] = False
    """Whether all components have the same covariance."""
    one_volume: ClassVar[bool] = False
    """Whether |Σ_k| is the same for all components."""
    marginal_family: ClassVar[str | None] = None
    """The family of its marginals and conditionals, where that is another."""
    colour: ClassVar[str] = "#6A4C93"
    marker: ClassVar[str] = "v"
    """How pictures tell it from the others."""

    @abstractmethod
    def shape(self, components: int, features: int) -> tuple[int, ...]:
        """The shape of its covariances."""

    @abstractmethod
    def parameter_count(self, components: int, features: int) -> int:
        """Free parameters of its covariances."""

    @abstractmethod
    def minimum_count(self, features: int) -> int:
        """Rows that a component needs for its covariance to be of full rank."""

    @abstractmethod
    def conjugate(self, dof: float, features: int) -> tuple[float, float]:
        """How many rows a conjugate prior of so many degrees of freedom is worth to log |Σ|, and
        the share of its scale in every entry."""

    @abstractmethod
    def maximise(self, counts: Array, scatter: Array) -> Array:
        """The M-step: covariances (K..) that maximise Q for these counts (K,) and scatter."""

    def regularised(
        self,
        counts: Array,
        scatter: Array,
        variance: float,
        smallest: Array,
        previous: Array | None = None,
    ) -> Floored:
        """The M-step with this variance added, above the smallest ones (D,); from the covariances
        of the iteration before, where there is no closed form."""
        del previous
        return self.floor(self.add(self.maximise(counts, scatter), variance), smallest)

    def nearest(self, weights: Array, covariances: Array, previous: Array) -> Array:
        """Of this family, what comes closest to covariances of its shape that were extrapolated."""
        del weights, previous
        return covariances

    @abstractmethod
    def slope(self, precisions: Array, counts: Array, second: Array) -> Array:
        """∂Q/∂Σ, every entry as free: of precisions (K, D, D) or (K, D), and of the second moments
        about the mixture's means, laid out as scatter is."""

    @abstractmethod
    def add(self, covariances: Array, variance: float) -> Array:
        """Σ + variance·I."""

    @abstractmethod
    def floor(self, covariances: Array, variances: Array) -> Floored:
        """Covariances no thinner than these variances (D,) and than rounding allows."""

    @abstractmethod
    def factors(self, covariances: Array) -> Array:
        """Upper triangular U with Σ⁻¹ = U Uᵀ, in scikit-learn's shape of `precisions_cholesky_`."""

    @abstractmethod
    def thinner(self, factors: Array, variance: float) -> NDArray[bool_]:
        """Whether each covariance of these factors is below this variance in some direction."""

    @abstractmethod
    def from_factors(self, factors: Array) -> Array:
        """Precisions U Uᵀ in the family's shape."""

    @abstractmethod
    def spread(self, values: Array, components: int, features: int) -> Array:
        """The same of every component: (K, D, D) matrices, or (K, D) diagonals."""

    @abstractmethod
    def take(self, covariances: Array, components: Indices) -> Array:
        """The covariances of these components."""

    @abstractmethod
    def marginal(self, covariances: Array, features: Indices) -> Array:
        """The covariances of these features alone."""

    @abstractmethod
    def conditional(self, covariances: Array, kept: Indices, given: Indices) -> Array:
        """The covariances of the kept features once the given ones are known."""

    @abstractmethod
    def chart(self, weights: Array, covariances: Array, features: int) -> CovarianceChart:
        """Coordinates around these covariances, for accelerations."""
