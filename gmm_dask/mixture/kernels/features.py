"""Quadratic features of rows: what the log-density of a Gaussian is linear in."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.arrays import Array, Rows
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.parameters import Mixture

Indices: TypeAlias = NDArray[np.int64]


class OuterFeatures:
    """φ(z) = [z_i z_j for i ≤ j, z_i, 1], one feature a line."""

    def __init__(self, features: int) -> None:
        self.d = features
        self.upper = np.triu_indices(features)
        self.products = len(self.upper[0])
        self.count = self.products + features + 1
        self.whole = np.empty((features, features), np.intp)
        self.whole[self.upper] = self.whole.T[self.upper] = np.arange(self.products)
        self.starts = np.concatenate([[0], np.cumsum(np.arange(features, 0, -1))]).tolist()
        self.pairs = pairs(*self.upper, features)
        self.halves = np.where(self.upper[0] == self.upper[1], -0.5, -1.0)

    def fill(self, phi: NDArray[np.floating], rows: Rows, frame: Frame) -> None:
        """Write φ of these rows into phi (F, B), whose last line is 1 already."""
        linear = phi[self.products : -1]
        standardise(rows, frame, linear)
        for i in range(self.d):
            np.multiply(linear[i:], linear[i], out=phi[self.starts[i] : self.starts[i + 1]])

    def second_order(self, precisions: Array) -> Array:
        """The coefficients (K, D(D+1)/2) of z_i z_j in −½ zᵀ Λ z."""
        i, j = self.upper
        return precisions[:, i, j] * self.halves

    def unpack(self, sums: Array) -> tuple[Array, Array, Array]:
        """Σ r z zᵀ (K, D, D), Σ r z (K, D) and Σ r (K,)."""
        second = np.take(sums, self.whole, axis=1)
        return second, sums[:, self.products : -1], sums[:, -1]


class SquareFeatures:
    """φ(z) = [z_i², z_i, 1], one feature a line."""

    def __init__(self, features: int) -> None:
        self.d = features
        self.count = 2 * features + 1
        self.pairs = pairs(np.arange(features), np.arange(features), features)

    def fill(self, phi: NDArray[np.floating], rows: Rows, frame: Frame) -> None:
        """Write φ of these rows into phi (F, B), whose last line is 1 already."""
        linear = phi[self.d : -1]
        standardise(rows, frame, linear)
        np.multiply(linear, linear, out=phi[: self.d])

    def second_order(self, precisions: Array) -> Array:
        """The coefficients (K, D) of z_i² in −½ Σ λ_i z_i²."""
        return -0.5 * precisions

    def unpack(self, sums: Array) -> tuple[Array, Array, Array]:
        """Σ r z² (K, D), Σ r z (K, D) and Σ r (K,)."""
        return sums[:, : self.d], sums[:, self.d : -1], sums[:, -1]


def pairs(left: Indices, right: Indices, features: int) -> tuple[Indices, Indices]:
    """Which two coordinates a feature is the product of, as the compiled loops have them: −1 for
    the second where it is one alone, for both where there is none, to make their number even."""
    alone, none = np.full(features, -1), np.full((len(left) + features) % 2, -1)
    return np.concatenate([left, np.arange(features), none]), np.concatenate([right, alone, none])


def features_of(mixture: Mixture) -> OuterFeatures | SquareFeatures:
    """The features that the mixture's family needs."""
    kind = squares if mixture.diagonal else outer
    return kind(mixture.features)


@lru_cache(maxsize=4)
def outer(features: int) -> OuterFeatures:
    """Remembered, as every pass asks for the same."""
    return OuterFeatures(features)


@lru_cache(maxsize=4)
def squares(features: int) -> SquareFeatures:
    """The same for diagonal families."""
    return SquareFeatures(features)


def standardise(rows: Rows, frame: Frame, out: NDArray[np.floating]) -> None:
    """z = (x − centre) / scale, one feature a line, subtracted in float64."""
    if out.dtype == np.float64:
        np.subtract(rows.T, frame.centre[:, None], out=out)
        out *= 1 / frame.scale[:, None]  # a power of two: exact
    else:
        out[:] = (rows.T - frame.centre[:, None]) / frame.scale[:, None]
