"""The fused kernel: the quadratic kernel's arithmetic in compiled loops, a tile of rows at a time.

The same features, coefficients and sums, and so the same error bound; nothing but a few hundred
rows' worth of temporaries, in the innermost caches. Needs numba: mixture/compiling.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gmm_dask.mixture.arrays import Array, Rows
from gmm_dask.mixture.compiling import SWITCH, loops
from gmm_dask.mixture.frame import Frame
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.quadratic import LOWEST_EXPONENT, QuadraticSums, SquareFeatures
from gmm_dask.mixture.statistics import NEGLIGIBLE

TILE_BYTES = 2**20
"""For features and responsibilities of a tile: more falls out of the second cache."""
STEP_VALUES = 2**20
"""Values that are given to the loops at once; and copied, where rows are of another type."""


class FusedKernel(QuadraticSums):
    """Sums statistics of rows for mixtures of one layout; `add` takes at most `step` rows."""

    def __init__(self, mixtures: Sequence[Mixture], frame: Frame) -> None:
        super().__init__(mixtures, frame)
        self.loops = loops()
        if isinstance(self.loops, str):
            raise RuntimeError(
                f"the driver chose the fused kernel and here {self.loops}: install gmm-dask[fast] "
                f"on every worker, or set {SWITCH}=0 where the fit is started"
            )
        # The last feature is 1: its products are neither computed nor stored.
        self.even, self.constants = self.expansion.even
        self.tile = int(np.clip(TILE_BYTES // (8 * sum(self.even.shape)) // 32 * 32, 32, 256))
        self.step = max(self.tile, STEP_VALUES // mixtures[0].features)

    def add(self, rows: Rows, weights: Array | None) -> bool:
        """Add these rows; False, and nothing added, where the expansion overflows for them."""
        rows = as_read(rows)
        double, single = np.empty((0, rows.shape[1])), np.empty((0, rows.shape[1]), np.float32)
        if rows.dtype == np.float32:
            single = rows
        else:
            double = rows
        sums, totals = np.zeros_like(self.even), np.zeros_like(self.totals)
        counts = self.sums[:, -1].copy()
        self.loops.sweep(
            double,
            single,
            np.empty(0) if weights is None else np.ascontiguousarray(weights),
            self.frame.centre,
            self.frame.scale,
            isinstance(self.features, SquareFeatures),
            self.even,
            self.constants,
            self.expansion.ends,
            LOWEST_EXPONENT["float64"],
            NEGLIGIBLE,
            self.tile,
            sums,
            counts,
            totals,
        )
        if not (np.isfinite(totals).all() and np.isfinite(sums).all()):
            return False
        components, columns = self.coefficients.shape
        self.sums[:, :-1] += sums[:components, : columns - 1]
        self.sums[:, -1] = counts
        evidence, peak, mixed = totals.T
        self.totals += np.stack([evidence + peak, evidence - mixed, -evidence], axis=1)
        self.count(rows, weights)
        return True


def as_read(rows: Rows) -> Rows:
    """Rows as the loops read them: float64 or float32, C-ordered and aligned."""
    kind = np.float32 if rows.dtype == np.float32 else np.float64
    return np.require(rows, kind, ["C", "A"])
