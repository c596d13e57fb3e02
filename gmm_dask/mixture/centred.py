"""The centred kernel: every deviation is taken from a mean nearby, so nothing ever cancels.

E-step about the component's mean μ_k; scatter about the weighted mean of the few rows at hand,
then merged in the difference form. It is right to rounding at any offset, when a component shrinks
to a point, and for rows up to 1e150. Triangular and symmetric products spend half the flops of
general ones, which makes it the fastest kernel too where D is large.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import blas

from gmm_dask.mixture.arrays import Array, Layout, Rows
from gmm_dask.mixture.density import LARGEST_DEVIATION
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.quadratic import LOWEST_EXPONENT, TEMPORARIES, softmax
from gmm_dask.mixture.statistics import SufficientStatistics, two_sum

NEGLIGIBLE = 1e-30
"""Rows of less than this share of a component add nothing to its scatter that float64 could hold;
where components are apart, as they are in many dimensions, that is nearly all rows of each."""


class CentredKernel:
    """Sums statistics of rows for one mixture; `add` takes at most `step` rows."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture
        self.factors = mixture.spread(mixture.factors)
        k, d = mixture.means.shape
        fitting = TEMPORARIES // (8 * (3 * d + 2 * k))
        self.step = int(np.clip(fitting // 64 * 64, 128, 2048))
        self.sum = SufficientStatistics.zero(k, d, mixture.kind.layout)

    def add(self, rows: Rows, weights: Array | None) -> bool:
        """Add these rows; False, and nothing added, where one of them is not finite."""
        block = np.asarray(rows, dtype=np.float64)
        if not np.isfinite(block).all():
            return False
        logs = np.empty((self.mixture.components, len(block)))
        for k in range(self.mixture.components):
            logs[k] = self._distances(block, k)
        logs *= -0.5
        logs += self.mixture.log_normalisers[:, None]
        posteriors = np.empty_like(logs)
        totals = softmax(logs, posteriors, weights, LOWEST_EXPONENT["float64"])
        self.sum += statistics_of_responsibilities(
            block, posteriors, self.mixture.kind.layout, weights, totals
        )
        return True

    def _distances(self, block: Array, k: int) -> Array:
        """(x − μ_k)ᵀ Σ_k⁻¹ (x − μ_k), cut where the square would overflow."""
        deviations = block - self.mixture.means[k]
        factor = self.factors[k]
        with np.errstate(over="ignore", invalid="ignore"):
            if factor.ndim == 1:
                whitened = deviations * factor
            else:
                # Uᵀ (D, D) on deviationsᵀ (D, B): both are Fortran's own order, nothing is copied
                whitened = blas.dtrmm(1.0, factor, deviations.T, trans_a=1, overwrite_b=1).T
            distances = np.einsum("nd,nd->n", whitened, whitened)
        if not np.isfinite(distances).all():
            whitened = np.nan_to_num(whitened, nan=LARGEST_DEVIATION)
            whitened = np.clip(whitened, -LARGEST_DEVIATION, LARGEST_DEVIATION)
            distances = np.einsum("nd,nd->n", whitened, whitened)
        return distances

    def statistics(self) -> list[SufficientStatistics]:
        """What was added."""
        return [self.sum]


def statistics_of_responsibilities(
    block: Array,
    posteriors: Array,
    layout: Layout,
    weights: Array | None,
    totals: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> SufficientStatistics:
    """The statistics of rows (B, D) under given responsibilities (K, B), weights included in them.

    Two passes over the rows: first their weighted means, then the scatter about these, and what
    rounding took from the means.
    """
    counts = posteriors.sum(axis=1)
    present = np.where(counts > 0, counts, 1)
    shift = block.mean(axis=0)
    means = shift + (posteriors @ (block - shift)) / present[:, None]
    means[counts == 0] = 0
    remainders = np.zeros_like(means)
    roots = np.sqrt(posteriors)
    k, d = means.shape
    scatter = np.zeros({"outer": (k, d, d), "pooled": (d, d)}.get(layout, (k, d)))
    for j in np.flatnonzero(counts > 0):
        members = np.flatnonzero(posteriors[j] > NEGLIGIBLE * counts[j])
        deviations, root = block[members], roots[j, members]
        deviations -= means[j]
        deviations *= root[:, None]
        remainders[j] = root @ deviations / counts[j]
        if layout == "squares":
            np.einsum("nd,nd->d", deviations, deviations, out=scatter[j])
        else:
            target = scatter if layout == "pooled" else scatter[j]
            target += blas.dsyrk(1.0, deviations.T, lower=1)
    if layout != "squares":
        scatter = mirrored(scatter)
    size = len(block) if weights is None else int(np.count_nonzero(weights))
    weight = float(len(block)) if weights is None else float(weights.sum())
    means, remainders = two_sum(means, remainders)
    return SufficientStatistics(counts, means, remainders, scatter, layout, *totals, size, weight)


def mirrored(lower: Array) -> Array:
    """Symmetric matrices from their lower triangles."""
    below = np.tril(lower, -1)
    return np.tril(lower) + np.swapaxes(below, -1, -2)
