"""Count, weight, mean, variance and extremes per feature, added up without cancellation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.rows import Weights

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Of some rows. The mean is kept as a row of the data plus a small shift from it.

    Far from the origin, a mean in one number is rounded to more than block means differ by.
    Variances rather than sums of squares, which would overflow first.
    """

    weight: float
    origin: Vector
    shift: Vector
    variance: Vector
    minimum: Vector
    maximum: Vector

    @property
    def mean(self) -> Vector:
        return self.origin + self.shift

    def __add__(self, other: Moments) -> Moments:
        """The difference form (Chan, Golub & LeVeque 1983)."""
        if self.weight == 0 or other.weight == 0:
            return other if self.weight == 0 else self
        weight = self.weight + other.weight
        left, right = self.weight / weight, other.weight / weight
        step = (other.origin - self.origin) + (other.shift - self.shift)
        return Moments(
            weight,
            self.origin,
            self.shift + right * step,
            left * self.variance + right * other.variance + left * right * step * step,
            np.minimum(self.minimum, other.minimum),
            np.maximum(self.maximum, other.maximum),
        )


def no_moments(features: int) -> Moments:
    """The zero of `+`."""
    zero = np.zeros(features)
    return Moments(0.0, zero, zero, zero, zero + np.inf, zero - np.inf)


def moments_of(x: NDArray[np.float64], weights: Weights) -> Moments:
    """Moments of finite rows x (n, D); rows of weight zero count for nothing."""
    if weights is not None and not (weights > 0).all():
        x, weights = x[weights > 0], weights[weights > 0]
    if len(x) == 0:
        return no_moments(x.shape[1])
    total = float(len(x)) if weights is None else float(weights.sum())
    shares = np.full(len(x), 1 / len(x)) if weights is None else weights / total
    centred = x - x[0]
    shift = shares @ centred
    centred -= shift
    variance = shares @ (centred * centred)
    return Moments(total, x[0].copy(), shift, variance, x.min(axis=0), x.max(axis=0))
