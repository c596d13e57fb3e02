"""The geometric families: Σ_k = λ_k D_k A_k D_kᵀ with volume λ, shape A of determinant 1 and
orientation D, each of which is equal in all components or varies; or there is none (the identity).

Named as in mclust, by a letter for each: VEI is volumes that vary, one shape, along the axes
(Banfield & Raftery 1993; Celeux & Govaert 1995). scikit-learn's four are VVV, EEE, VVI and VII.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.family import Family, Floored

TURNS = 1000
"""Of volumes and shape in turn, at most; a handful is usual."""
SETTLED = 1e-14
"""A relative change of all volumes that is rounding."""


class Geometric(Family):
    """A family by its letters. `reg_covar` and the floor act on every component's own covariance
    before they are made alike, so that what comes out is of the family."""

    def parameter_count(self, components: int, features: int) -> int:
        volume, shape, orientation = tuple(self.name)
        count = {"E": 1, "V": components, "I": 0}
        angles = features * (features - 1) // 2
        return count[volume] + count[shape] * (features - 1) + count[orientation] * angles

    def minimum_count(self, features: int) -> int:
        if self.name.endswith("VV"):
            return features + 1
        return 2 if "V" in self.name else 1

    @abstractmethod
    def alike(self, counts: Array, own: Array, previous: Array | None = None) -> Array:
        """The M-step: covariances that maximise Q, of each component's own, S_k / n_k; where there
        is no closed form, from those of the iteration before."""

    def maximise(self, counts: Array, scatter: Array) -> Array:
        return self.alike(counts, scatter / _column(counts, scatter))

    def regularised(
        self,
        counts: Array,
        scatter: Array,
        variance: float,
        smallest: Array,
        previous: Array | None = None,
    ) -> Floored:
        own = self.floor(self.add(scatter / _column(counts, scatter), variance), smallest)
        found = self.floor(self.alike(counts, own.covariances, previous), smallest)
        thin = {*found.components, *(own.components if self.name[1] == "V" else ())}
        return Floored(found.covariances, tuple(sorted(thin)))

    def nearest(self, weights: Array, covariances: Array, previous: Array) -> Array:
        return self.alike(weights, covariances, previous)


def _column(counts: Array, scatter: Array) -> Array:
    """Counts (K,) that divide scatter (K, D, D) or (K, D)."""
    return counts.reshape(-1, *[1] * (scatter.ndim - 1))


def volumes(spectra: Array) -> Array:
    """|Σ_k|^{1/D}, (K,), of eigenvalues or variances (K, D): their geometric means."""
    return np.exp(np.log(spectra).mean(axis=1))


def of_equal_volume(counts: Array, spectra: Array) -> Array:
    """λ A_k with A_k = Ω_k / |Ω_k|^{1/D} and λ = Σ_k n_k |Ω_k|^{1/D} / n, of spectra Ω (K, D)."""
    sizes = volumes(spectra)
    return spectra * ((counts @ sizes) / (counts.sum() * sizes))[:, None]


def of_equal_shape(counts: Array, spectra: Array) -> Array:
    """λ_k A of spectra Ω (K, D): A ∝ Σ_k n_k Ω_k / λ_k and λ_k = tr(Ω_k A⁻¹) / D, in turn."""
    sizes = spectra.mean(axis=1)
    for _ in range(TURNS):
        shape = (counts / sizes) @ spectra
        shape = shape / volumes(shape[None])
        before, sizes = sizes, (spectra / shape).mean(axis=1)
        if (np.abs(sizes - before) <= SETTLED * sizes).all():
            break
    return sizes[:, None] * shape
