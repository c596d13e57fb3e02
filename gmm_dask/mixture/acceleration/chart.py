"""Coordinates around a mixture in which EM is close to linear and every point is a mixture.

At the origin the Fisher information of the complete data (rows with their components) is the
identity, so a plain EM step is the gradient of the mean log-likelihood, and half its squared length
is the Kullback–Leibler divergence of a step. Lengths therefore mean the same for all families, and
neither translating nor scaling the data changes them (Xu & Jordan 1996; Salakhutdinov, Roweis &
Ghahramani 2003).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.parameters import Mixture

AT_ONCE = 2**18
"""Numbers of covariances worked on at a time: temporaries stay small beside many large matrices."""


def as_vector(mixture: Mixture) -> Array:
    """Weights, means and covariances one after the other, (P,); of matrices the lower triangles."""
    covariances = mixture.covariances
    if mixture.kind.layout != "squares":
        covariances = covariances[..., *np.tril_indices(mixture.features)]
    vector = np.concatenate([mixture.weights, mixture.means.ravel(), covariances.ravel()])
    vector.flags.writeable = False
    return vector


class Chart:
    """Coordinates around an origin, which has coordinates 0.

    Per component, times √w_k: log weight relative to the origin's, up to a constant; mean in the
    origin's standard deviations C⁻¹(μ − μ₀); covariance as the logarithm of the diagonal (times √2)
    and the rest of the Cholesky factor of C⁻¹ Σ C⁻ᵀ, or log(σ²/σ₀²) / √2. Σ₀ = C Cᵀ.
    """

    def __init__(self, origin: Mixture) -> None:
        self.origin = origin
        self.roots = np.sqrt(origin.weights)
        self.lower: Array | None = None
        if origin.kind.layout == "squares":
            per_variance = origin.features if origin.family == "spherical" else 1
            shape = (-1,) + (1,) * (origin.covariances.ndim - 1)
            self.variance_roots = self.roots.reshape(shape) * np.sqrt(per_variance / 2)
        else:
            self.lower = np.asarray(np.linalg.cholesky(_stack(origin.covariances)), np.float64)
            tied = origin.family == "tied"
            self.factor_roots = np.ones((1, 1)) if tied else self.roots[:, None]

    def coordinates(self, vector: Array) -> Array:
        """Of a mixture as a vector (P,)."""
        weights, means, covariances = self._split(vector)
        logs = np.log(weights / self.origin.weights)
        logs = logs - self.origin.weights @ logs
        offsets = means - self.origin.means
        if self.lower is None:
            shifts: Array = offsets / np.sqrt(self.origin.variances)
            shape = self.variance_roots * np.log(covariances / self.origin.covariances)
            tail = [shape.ravel()]
        else:
            lower = np.broadcast_to(self.lower, (len(means), *self.lower.shape[1:]))
            solved = np.linalg.solve(lower, offsets[:, :, None])[:, :, 0]
            shifts = np.asarray(solved, np.float64)
            tail = list(self._factor_coordinates(covariances))
        return np.concatenate([self.roots * logs, (self.roots[:, None] * shifts).ravel(), *tail])

    def _factor_coordinates(self, covariances: Array) -> tuple[Array, Array]:
        """Of the diagonals and of what is below them, of matrices as lower triangles or whole."""
        lower, below = self.lower, self._below()
        assert lower is not None
        count, d, _ = lower.shape
        diagonals, rest = np.empty((count, d)), np.empty((count, len(below[0])))
        for part in _parts(lower):
            factors = np.linalg.solve(lower[part], np.linalg.cholesky(_whole(covariances[part], d)))
            diagonals[part] = np.log(np.diagonal(factors, axis1=1, axis2=2)) * np.sqrt(2)
            rest[part] = factors[:, *below]
        return (self.factor_roots * diagonals).ravel(), (self.factor_roots * rest).ravel()

    def mixture(self, coordinates: Array) -> Mixture | None:
        """The mixture there; None where floating-point numbers do not reach."""
        k, d = self.origin.means.shape
        heads, shifts, tail = np.split(coordinates, [k, k + k * d])
        with np.errstate(all="ignore"):
            weights = self.origin.weights * np.exp(heads / self.roots)
            shifts = shifts.reshape(k, d) / self.roots[:, None]
            if self.lower is None:
                means = self.origin.means + shifts * np.sqrt(self.origin.variances)
                growth = tail.reshape(self.origin.covariances.shape) / self.variance_roots
                covariances = self.origin.covariances * np.exp(growth)
            else:
                means = self.origin.means + (self.lower @ shifts[:, :, None])[:, :, 0]
                covariances = self._covariances(tail)
            try:
                return Mixture(weights / weights.sum(), means, covariances, self.origin.family)
            except ValueError:  # not finite, or not positive definite to rounding
                return None

    def longest_component(self, coordinates: Array) -> float:
        """The longest displacement of any component by itself, in the same units."""
        k, d = self.origin.means.shape
        heads, shifts, tail = np.split(coordinates, [k, k + k * d])
        squares = heads**2 + (shifts.reshape(k, d) ** 2).sum(axis=1)
        if self.origin.family == "tied":
            return float(np.sqrt((squares / self.origin.weights).max() + tail @ tail))
        if self.lower is None:
            squares = squares + (tail.reshape(k, -1) ** 2).sum(axis=1)
        else:
            diagonals, below = np.split(tail, [k * d])
            squares = squares + (diagonals.reshape(k, -1) ** 2).sum(axis=1)
            squares = squares + (below.reshape(k, -1) ** 2).sum(axis=1)
        return float(np.sqrt((squares / self.origin.weights).max()))

    def _covariances(self, tail: Array) -> Array:
        lower = self.lower
        assert lower is not None
        count, d, _ = lower.shape
        diagonals, below = np.split(tail, [count * d])
        diagonals, below = diagonals.reshape(count, d), below.reshape(count, -1)
        covariances, index = np.empty_like(lower), np.arange(d)
        roots = np.broadcast_to(self.factor_roots, (count, 1))
        for part in _parts(lower):
            factors = np.zeros_like(lower[part])
            factors[:, index, index] = np.exp(diagonals[part] / roots[part] / np.sqrt(2))
            factors[:, *self._below()] = below[part] / roots[part]
            product = lower[part] @ factors
            squares = product @ product.transpose(0, 2, 1)
            covariances[part] = (squares + squares.transpose(0, 2, 1)) / 2
        return covariances.reshape(self.origin.covariances.shape)

    def _below(self) -> tuple[Indices, Indices]:
        return np.tril_indices(self.origin.features, -1)

    def _split(self, vector: Array) -> tuple[Array, Array, Array]:
        k, d = self.origin.means.shape
        weights, means, covariances = np.split(vector, [k, k + k * d])
        shape = (len(self.lower), -1) if self.lower is not None else self.origin.covariances.shape
        return weights, means.reshape(k, d), covariances.reshape(shape)


def expected_gain(here: Mixture, there: Mixture) -> float:
    """About how much the plain step from here to there raises the mean log-likelihood.

    ‖r‖² for slow directions, down to half of that for fast ones: with r the step, the gradient of L
    is r and its Hessian is between −1 and 0, in the chart around here.
    """
    step = Chart(here).coordinates(as_vector(there))
    return float(step @ step)


def _parts(matrices: Array) -> Iterator[slice]:
    step = max(1, AT_ONCE // matrices[0].size)
    return (slice(first, first + step) for first in range(0, len(matrices), step))


def _whole(packed: Array, features: int) -> Array:
    """Matrices (K, D, D) with these lower triangles, which are all that Cholesky factors need.

    Vectors that earlier versions have stored hold whole matrices.
    """
    if packed.shape[1] == features**2:
        return packed.reshape(-1, features, features)
    matrices = np.zeros((len(packed), features, features))
    matrices[:, *np.tril_indices(features)] = packed
    return matrices


def _stack(covariances: Array) -> Array:
    return covariances if covariances.ndim == 3 else covariances[None]
