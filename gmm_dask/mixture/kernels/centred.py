"""The centred kernel: every deviation is taken from a mean nearby, so nothing ever cancels.

E-step about the component's mean μ_k; scatter about the weighted mean of the few rows at hand,
then merged in the difference form. It is right to rounding at any offset, when a component shrinks
to a point, and for rows up to 1e150. Triangular and symmetric products spend half the flops of
general ones, which makes it the fastest kernel too where D is large; and where components are
apart, a row's distance in its first few whitened coordinates already rules most of them out.

All products are NumPy's, which lets other threads run meanwhile; SciPy's dtrmm and dsyrk do not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.arrays import Array, Rows
from gmm_dask.mixture.covariance.layouts import Layout
from gmm_dask.mixture.density import LARGEST_DEVIATION
from gmm_dask.mixture.kernels.look import RULED_OUT, Look
from gmm_dask.mixture.kernels.quadratic import LOWEST_EXPONENT, softmax
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.statistics import NEGLIGIBLE, SufficientStatistics, two_sum

TEMPORARIES = 16 * 2**20
"""Bytes for deviations and responsibilities. More than the caches hold: a component has but a share
of the rows, and products of few rows at a time are slow."""
MOST_ROWS = 8192
COLUMNS = 32
"""Whitened coordinates at a time: products left of the diagonal are not made, and fewer columns
than these are slow."""
TRIED = 256
"""Rows at which a first look is tried before it is taken at all the others."""
WORTHWHILE = 0.5
"""The share of log-densities left over by a first look, above which no more of them are taken."""


class CentredKernel:
    """Sums statistics of rows for one mixture; `add` takes at most `step` rows."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture
        self.means, self.factors, self.normalisers = mixture.terms
        k, d = self.means.shape
        fitting = TEMPORARIES // (8 * (3 * d + 2 * k))
        self.step = int(np.clip(fitting // 64 * 64, 128, MOST_ROWS))
        self.sum = SufficientStatistics.zero(mixture.components, d, mixture.kind.layout)
        self.look = Look.at(mixture)

    def add(self, rows: Rows, weights: Array | None) -> bool:
        """Add these rows; False, and nothing added, where one of them is not finite."""
        block = np.asarray(rows, dtype=np.float64)
        if not np.isfinite(block).all():
            return False
        if self.look is not None and not self.sum.rows:
            self._logs_after(self.look, block[:TRIED])  # which may give looks up
        logs = self._logs(block) if self.look is None else self._logs_after(self.look, block)
        posteriors = np.empty_like(logs)
        totals = softmax(logs, posteriors, weights, LOWEST_EXPONENT["float64"])
        layout, k = self.mixture.kind.layout, self.mixture.components
        found = statistics_of_responsibilities(block, posteriors[:k], layout, weights, totals)
        if self.mixture.noise is not None:
            noise = statistics_of_responsibilities(block, posteriors[k:], layout, weights)
            found = replace(found, noise=noise)
        self.sum += found
        return True

    def _logs(self, block: Array) -> Array:
        """Log joint densities (K, B)."""
        logs = np.empty((len(self.means), len(block)))
        logs[self.mixture.components :] = self.normalisers[-1]
        for k in range(self.mixture.components):
            logs[k] = self._log(block - self.means[k], k)
        return logs

    def _logs_after(self, look: Look, block: Array) -> Array:
        """The same, but where a component is ruled out for a row, an upper bound that says so."""
        logs = look.bounds(block)
        if not np.isfinite(logs).all():
            return self._logs(block)
        likely, rows = logs.argmax(axis=0), np.arange(len(block))
        self._replace(logs, block, likely == np.arange(len(logs))[:, None])
        left = logs >= logs[likely, rows] + RULED_OUT
        left[likely, rows] = False
        self._replace(logs, block, left)
        if np.count_nonzero(left) > WORTHWHILE * left.size:
            self.look = None
        return logs

    def _replace(self, logs: Array, block: Array, chosen: NDArray[np.bool_]) -> None:
        """The log-densities that are chosen (K, B) in full."""
        for k in np.flatnonzero(chosen[: self.mixture.components].any(axis=1)).tolist():
            rows = np.flatnonzero(chosen[k])
            deviations = block[rows]
            deviations -= self.means[k]
            logs[k, rows] = self._log(deviations, k)

    def _log(self, deviations: Array, k: int) -> Array:
        """log w_k N(x | k) of x − μ_k; cut before the square overflows."""
        factor = self.factors[k]
        with np.errstate(over="ignore", invalid="ignore"):
            if factor.ndim == 1:
                whitened = deviations * factor
            else:
                whitened = times_triangular(deviations, factor)
            distances = np.einsum("nd,nd->n", whitened, whitened)
        if not np.isfinite(distances).all():
            whitened = np.nan_to_num(whitened, nan=LARGEST_DEVIATION)
            whitened = np.clip(whitened, -LARGEST_DEVIATION, LARGEST_DEVIATION)
            distances = np.einsum("nd,nd->n", whitened, whitened)
        logs: Array = self.normalisers[k] - 0.5 * distances
        return logs

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
    scatter = np.zeros(layout.shape(*means.shape))
    for j in np.flatnonzero(counts > 0).tolist():
        members = np.flatnonzero(posteriors[j] > NEGLIGIBLE * counts[j])
        deviations, root = block[members], roots[j, members]
        deviations -= means[j]
        deviations *= root[:, None]
        remainders[j] = root @ deviations / counts[j]
        layout.add(scatter, j, deviations)
    size = len(block) if weights is None else int(np.count_nonzero(weights))
    weight = float(len(block)) if weights is None else float(weights.sum())
    means, remainders = two_sum(means, remainders)
    return SufficientStatistics(counts, means, remainders, scatter, layout, *totals, size, weight)


def times_triangular(rows: Array, upper: Array) -> Array:
    """rows @ upper (D, D), without most of what the zeros of `upper` would give."""
    product = np.empty(rows.shape)
    for first in range(0, len(upper), COLUMNS):
        last = min(first + COLUMNS, len(upper))
        np.matmul(rows[:, :last], upper[:last, first:last], out=product[:, first:last])
    return product
