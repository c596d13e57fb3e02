"""A first look at rows: their first whitened coordinates, which rule most components out where
these are apart."""

from __future__ import annotations

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.parameters import Mixture

RULED_OUT = -60.0
"""A log-density so far below another of the same row: e⁻⁶⁰ of a row, or less, is nothing in any
sum, not over a billion rows."""
SEEN, LOOK_FROM_FEATURES = 3, 32
"""A first look is at one of so many features. Whitened coordinates need no later feature than their
own (U is triangular), so it takes 1/9 of the product."""
LOOK_VALUES = 2**18
"""Whitened values of a look at once: more falls out of the second cache."""
SHARP = 1e16
"""The conditioning up to which a look, which is taken from one centre for all components, sees
distances to much better than RULED_OUT."""
JUDGED = 64
"""Components of the largest weights, of whose rows it is asked what a look would leave of them."""


class Look:
    """Upper bounds of all log-densities, from the first whitened coordinates of a row."""

    def __init__(self, mixture: Mixture, centre: Array, seen: int) -> None:
        means, factors, normalisers = mixture.terms
        self.seen = seen
        self.constants = normalisers[:, None]
        self.centre = centre[: self.seen, None]
        upper = factors[:, : self.seen, : self.seen]
        offsets = (means - centre)[:, : self.seen]
        means = np.einsum("kji,kj->ki", upper, offsets)
        # A last feature, which is 1, takes the means away within the product.
        affine = np.concatenate([np.swapaxes(upper, 1, 2), -means[:, :, None]], axis=2)
        self.factors = affine.reshape(-1, self.seen + 1)
        self.step = max(192, LOOK_VALUES // len(self.factors) // 64 * 64)

    @classmethod
    def at(cls, mixture: Mixture) -> Look | None:
        """None where a look is not worth it, or would be blurred."""
        if mixture.diagonal or mixture.features < LOOK_FROM_FEATURES or mixture.components < 3:
            return None
        frame = Frame.of([mixture])
        if frame.conditioning(mixture) >= SHARP:
            return None
        return cls(mixture, frame.centre, mixture.features // SEEN)

    def bounds(self, block: Array) -> Array:
        """At least log w_k N(x | k), (K, B)."""
        bounds = np.empty((len(self.constants), len(block)))
        rows = np.ones((self.seen + 1, self.step))
        for first in range(0, len(block), self.step):
            some = rows[:, : len(block) - first]
            part = slice(first, first + self.step)
            np.subtract(block[part, : self.seen].T, self.centre, out=some[:-1])
            whitened = (self.factors @ some).reshape(len(bounds), self.seen, -1)
            np.einsum("kib,kib->kb", whitened, whitened, out=bounds[:, part])
        bounds *= -0.5
        bounds += self.constants
        return bounds

    def left(self, mixture: Mixture) -> float:
        """About how many components it leaves to a row of this mixture, its own among them; judged
        by the rows in the middle of the largest components."""
        judged = np.argsort(-mixture.weights)[:JUDGED]
        # A row is one standard deviation from its mean in every coordinate, in those seen as well.
        bounds = self.bounds(mixture.means[judged]) - 0.5 * self.seen
        own = mixture.log_normalisers[judged] - 0.5 * mixture.features
        left = (bounds >= own + RULED_OUT).sum(axis=0)
        return float(np.average(left, weights=mixture.weights[judged]))


def components_left(mixture: Mixture) -> float:
    """The same of the look that the centred kernel takes; all of them where it takes none."""
    look = Look.at(mixture)
    return mixture.components if look is None else look.left(mixture)
