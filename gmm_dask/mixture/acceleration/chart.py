"""Coordinates around a mixture in which EM is close to linear and every point is a mixture.

At the origin the Fisher information of the complete data (rows with their components) is the
identity, so a plain EM step is the gradient of the mean log-likelihood, and half its squared length
is the Kullback–Leibler divergence of a step. Lengths therefore mean the same for all families, and
neither translating nor scaling the data changes them (Xu & Jordan 1996; Salakhutdinov, Roweis &
Ghahramani 2003).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.charts import AT_ONCE
from gmm_dask.mixture.parameters import Mixture


def as_vector(mixture: Mixture) -> Array:
    """Weights, means and covariances one after the other, (P,); of matrices the lower triangles."""
    packed = mixture.kind.layout.pack(mixture.covariances)
    vector = np.concatenate([mixture.all_weights, mixture.means.ravel(), packed.ravel()])
    vector.flags.writeable = False
    return vector


class Chart:
    """Coordinates around an origin, which has coordinates 0.

    Per component, times √w_k: log weight relative to the origin's, up to a constant, which noise
    has as well; mean in the origin's standard deviations C⁻¹(μ − μ₀), Σ₀ = C Cᵀ; and what its
    family makes of covariances.
    """

    def __init__(self, origin: Mixture) -> None:
        self.origin = origin
        self.weights = origin.all_weights
        self.all_roots = np.sqrt(self.weights)
        self.roots = self.all_roots[: origin.components]
        self.covariance = origin.kind.chart(origin.weights, origin.covariances, origin.features)

    def coordinates(self, vector: Array) -> Array:
        """Of a mixture as a vector (P,), or of several (…, P)."""
        weights, means, packed = self._split(vector)
        logs = np.log(weights / self.weights)
        logs = logs - np.vecdot(logs, self.weights)[..., None]
        shifts = self.roots[:, None] * self.covariance.whiten(means - self.origin.means)
        tail = self.covariance.coordinates(packed)
        heads = self.all_roots * logs, shifts.reshape(*vector.shape[:-1], -1)
        return np.concatenate([*heads, *tail], axis=-1)

    def each(self, vectors: Iterable[Array]) -> Iterator[Array]:
        """The coordinates of several mixtures in turn, of small ones together; some may have been
        stored by an earlier version, which kept whole matrices, and are longer."""
        for length, alike in groupby(vectors, len):
            while same := list(islice(alike, max(1, AT_ONCE // length))):
                yield from self.coordinates(np.array(same))

    def mixture(self, coordinates: Array) -> Mixture | None:
        """The mixture there; None where floating-point numbers do not reach."""
        heads, shifts, tail = self._split(coordinates)
        with np.errstate(all="ignore"):
            weights = self.weights * np.exp(heads / self.all_roots)
            offsets = self.covariance.unwhiten(shifts / self.roots[:, None])
            means = self.origin.means + offsets
            try:
                covariances = self.origin.kind.nearest(
                    weights[: len(means)],
                    self.covariance.covariances(tail),
                    self.origin.covariances,
                )
                weights = weights / weights.sum()
                noise = self.origin.noise and self.origin.noise.weighing(weights[-1])
                return Mixture(weights[: len(means)], means, covariances, self.origin.family, noise)
            except ValueError:  # not finite, or not positive definite to rounding
                return None

    def longest_component(self, coordinates: Array) -> float:
        """The longest displacement of any component by itself, in the same units."""
        heads, shifts, tail = self._split(coordinates)
        k = len(shifts)
        squares = heads**2
        squares[:k] += (shifts**2).sum(axis=1)
        for own in self.covariance.by_component(tail, k):
            squares[:k] += (own**2).sum(axis=1)
        shared = self.covariance.shared_square(tail)
        return float(np.sqrt((squares / self.weights).max() + shared))

    def _split(self, vector: Array) -> tuple[Array, Array, Array]:
        """What belongs to weights, noise's among them, to means (…, K, D), and to covariances."""
        (k, d), parts = self.origin.means.shape, len(self.weights)
        means = vector[..., parts : parts + k * d].reshape(*vector.shape[:-1], k, d)
        return vector[..., :parts], means, vector[..., parts + k * d :]


def expected_gain(here: Mixture, there: Mixture) -> float:
    """About how much the plain step from here to there raises the mean log-likelihood.

    ‖r‖² for slow directions, down to half of that for fast ones: with r the step, the gradient of L
    is r and its Hessian is between −1 and 0, in the chart around here.
    """
    step = Chart(here).coordinates(as_vector(there))
    return float(step @ step)
