"""What the compiled loops need to know of components that are apart, and whether it pays.

An upper bound of every log-density, from a row's first coordinates alone, costs a fraction of the
quadratic kernel's products and leaves few pairs of row and component, most often one a row. Only
these are worked out: densities by their whitened coordinates, sums by a component's own rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.kernels.features import Indices, outer
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.kernels.look import Look
from gmm_dask.mixture.kernels.quadratic import even, linear_forms, standardised
from gmm_dask.mixture.memo import Remembered
from gmm_dask.mixture.parameters import Mixture

SEPARATED_FROM_FEATURES = 16
"""With fewer, pairs of row and component are hardly cheaper than all of them."""
SEEN = (1 / 4, 1 / 3, 1 / 2, 3 / 4)
"""Shares of the features that a look may see."""
WHOLE = 1.8
"""Products of all rows by all components in the whole: two, or less where each row is added to its
own components alone."""
BESIDE = 40
"""A pair takes as long as 2 D (D + BESIDE) multiplications of the quadratic kernel; more where a
component has fewer than OWN_ROWS rows at once."""
OWN_ROWS = 16
LOGS = 2**20
"""Log-densities at once."""


@dataclass(frozen=True, eq=False)
class Separation:
    """Mixtures of one frame, as `sweep_separated` has them."""

    seen: int
    most: float
    pairs: tuple[Indices, Indices]
    coefficients: Array
    constants: Array
    factors: Array
    offsets: Array
    normalisers: Array

    @staticmethod
    def of(mixtures: Sequence[Mixture], frame: Frame) -> Separation | None:
        """None where a look would leave so many pairs that the whole is faster."""
        if mixtures[0].diagonal or mixtures[0].features < SEPARATED_FROM_FEATURES:
            return None
        return _separation(tuple(mixtures), frame)


@Remembered
def _separation(mixtures: tuple[Mixture, ...], frame: Frame) -> Separation | None:
    chosen = _affordable(mixtures, frame)
    if chosen is None:
        return None
    seen, most = chosen
    each = (standardised(mixture, frame) for mixture in mixtures)
    means, factors = (np.concatenate(some) for some in zip(*each, strict=True))
    normalisers = np.concatenate([mixture.terms.log_normalisers for mixture in mixtures])
    features = outer(seen)
    bounds = linear_forms(means[:, :seen], factors[:, :seen, :seen], normalisers, features)
    components, d = means.shape
    width = -(-d // 4) * 4
    transposed, offsets = np.zeros((components, width, width)), np.zeros((components, width))
    transposed[:, :d, :d] = factors.transpose(0, 2, 1)
    offsets[:, :d] = np.einsum("kij,ki->kj", factors, means)
    return Separation(seen, most, features.pairs, *even(bounds), transposed, offsets, normalisers)


def _affordable(mixtures: tuple[Mixture, ...], frame: Frame) -> tuple[int, float] | None:
    """How many features the cheapest look sees, and how many pairs a row it may leave; None where
    it would leave more."""
    features, components = mixtures[0].features, sum(m.parts for m in mixtures)
    whole = WHOLE * components * _columns(features)
    pair = 2 * features * (features + BESIDE) * max(1, OWN_ROWS * components / height(components))
    costs, most = dict[int, float](), dict[int, float]()
    for seen in {int(share * features) for share in SEEN}:
        looking = components * _columns(seen)
        left = sum(Look(m, frame.centre, seen).left(m) for m in mixtures)
        costs[seen], most[seen] = looking + left * pair, (whole - looking) / pair
    seen = min(costs, key=costs.__getitem__)
    return (seen, most[seen]) if costs[seen] < whole else None


def _columns(features: int) -> int:
    """Quadratic features but for the one that is always 1."""
    return features * (features + 1) // 2 + features


def height(components: int) -> int:
    """Rows at once: enough that a component has some tens of them, and no more than caches hold."""
    most = min(2048, LOGS // components // 256 * 256)
    return int(np.clip(64 * components // 256 * 256, 256, max(256, most)))
