"""The fused kernel: the quadratic kernel's arithmetic in compiled loops, a tile of rows at a time.

The same features, coefficients and sums, and so the same error bound; nothing but a few hundred
rows' worth of temporaries, in the innermost caches. Needs numba: mixture/compilation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gmm_dask.mixture.arrays import Array, Rows, as_read, double_or_single
from gmm_dask.mixture.compilation import SWITCH, compiles, loops
from gmm_dask.mixture.kernels.features import SquareFeatures
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.kernels.look import RULED_OUT
from gmm_dask.mixture.kernels.quadratic import LOWEST_EXPONENT, QuadraticSums
from gmm_dask.mixture.kernels.separation import SEPARATED_FROM_FEATURES, Separation, height
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.statistics import NEGLIGIBLE

TILE_BYTES = 2**20
"""For features and responsibilities of a tile: more falls out of the second cache."""
ROWS, FEW_ROWS, SLAB = 256, 160, 64
"""Rows of a tile, at the most. Where fewer than these have room with all of their features, a slab
of features at a time is made, and made again for the sums."""
STEP_VALUES, STEP_SUMS = 2**20, 8
"""Values that are given to the loops at once, and copied where rows are of another type; or so many
times as there are sums, where these are many: of fewer, sums would be begun and added too often."""


class FusedKernel(QuadraticSums):
    """Sums statistics of rows for mixtures of one layout; `add` takes at most `step` rows."""

    def __init__(self, mixtures: Sequence[Mixture], frame: Frame) -> None:
        super().__init__(mixtures, frame)
        self.loops = required("dense")
        self.step = max(ROWS, max(STEP_VALUES, STEP_SUMS * self.sums.size) // mixtures[0].features)
        self.separation = Separation.of(mixtures, frame)

    def add(self, rows: Rows, weights: Array | None) -> bool:
        """Add these rows; False, and nothing added, where the expansion overflows for them."""
        rows = as_read(rows)
        sums, totals = np.zeros(self.sums.shape), np.zeros(self.totals.shape)
        sums[:, -1] = self.sums[:, -1]  # some of what weighs little beside all so far is left out
        row_weights = np.empty(0) if weights is None else np.ascontiguousarray(weights)
        done = self._add_separated(rows, row_weights, sums, totals)
        self._add_whole(rows[done:], row_weights[done:], sums, totals)
        if not (np.isfinite(totals).all() and np.isfinite(sums).all()):
            return False
        self.sums[:, :-1] += sums[:, :-1]
        self.sums[:, -1] = sums[:, -1]
        evidence, peak, mixed = totals.T
        self.totals[:, 0] += evidence + peak
        self.totals[:, 1] += evidence - mixed
        self.totals[:, 2] -= evidence
        self.count(rows, weights)
        return True

    def _add_separated(self, rows: Rows, weights: Array, sums: Array, totals: Array) -> int:
        """As many rows as a first look leaves few components of; how many that are."""
        if self.separation is None:
            return 0
        separation = self.separation
        second, linear = np.zeros_like(separation.factors), np.zeros_like(separation.offsets)
        counts = sums[:, -1].copy()
        done = required("separated").sweep_separated(
            *double_or_single(rows),
            weights,
            self.frame.centre,
            self.frame.scale,
            separation.seen,
            *separation.pairs,
            separation.coefficients,
            separation.constants,
            separation.factors,
            separation.offsets,
            separation.normalisers,
            self.expansion.ends,
            RULED_OUT,
            separation.most,
            LOWEST_EXPONENT["float64"],
            *room(*separation.coefficients.shape),
            height(len(counts)),
            second,
            linear,
            counts,
            totals,
        )
        if done < len(rows):
            self.separation = None
        features = rows.shape[1]
        i, j = self.features.pairs
        products = sums.shape[1] - 1 - features
        sums[:, :products] += second[:, i[:products], j[:products]]
        sums[:, products:-1] += linear[:, :features]
        sums[:, -1] = counts
        return done

    def _add_whole(self, rows: Rows, weights: Array, sums: Array, totals: Array) -> None:
        """All rows that are left."""
        if not len(rows):
            return
        # The last feature is 1: its products are neither computed nor stored.
        coefficients, constants = self.expansion.even
        added, counts = np.zeros_like(coefficients), sums[:, -1].copy()
        self.loops.sweep(
            *double_or_single(rows),
            weights,
            self.frame.centre,
            self.frame.scale,
            isinstance(self.features, SquareFeatures),
            *self.features.pairs,
            coefficients,
            constants,
            self.expansion.ends,
            LOWEST_EXPONENT["float64"],
            NEGLIGIBLE,
            *room(*coefficients.shape),
            added,
            counts,
            totals,
        )
        components, columns = sums.shape
        sums[:, :-1] += added[:components, : columns - 1]
        sums[:, -1] = counts


def required(which: str) -> Any:
    """Compiled loops that the driver counts on."""
    compiled = loops(which)
    if isinstance(compiled, str):
        raise RuntimeError(
            f"the driver chose the fused kernel and here {compiled}: install gmm-dask[fast] on "
            f"every worker, or set {SWITCH}=0 where the fit is started"
        )
    return compiled


def prepare(features: int) -> None:
    """Have compiled, or loaded, what the kernel will need for rows of so many features."""
    if compiles() and features >= SEPARATED_FROM_FEATURES:
        loops("separated")


def room(components: int, columns: int) -> tuple[int, int]:
    """Rows of a tile, and features at once: all of them while enough rows of all stay in the second
    cache, else a slab of them at a time."""
    if tile(components + columns) >= FEW_ROWS:
        return tile(components + columns), columns
    return tile(components + SLAB), SLAB


def tile(lines: int) -> int:
    """Rows of so many lines that stay in the second cache."""
    return max(32, min(ROWS, TILE_BYTES // (8 * lines) // 32 * 32))
