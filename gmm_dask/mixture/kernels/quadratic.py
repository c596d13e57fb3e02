"""The quadratic kernel: log-densities and statistics as two matrix products.

log w_k N(z | k) is linear in the quadratic features φ(z) = [z_i z_j (i ≤ j), z_i, 1]:

    L = A φ          E-step, (K, F) @ (F, B)
    R = softmax L    the responsibilities of B rows, gone when the next B come
    G += R φᵀ        statistics, (K, B) @ (B, F)

F = D(D+1)/2 + D + 1; diagonal families need only [z_i², z_i, 1]. All mixtures of one layout share
φ and both products, so ten candidates cost two larger products, not twenty.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.arrays import Array, Rows
from gmm_dask.mixture.covariance.layouts import Layout
from gmm_dask.mixture.kernels import Arithmetic
from gmm_dask.mixture.kernels.features import OuterFeatures, SquareFeatures, features_of
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.memo import Remembered
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.statistics import SufficientStatistics, two_sum

TEMPORARIES = 4 * 2**20
"""Bytes for features and responsibilities: more falls out of the caches."""

LOWEST_EXPONENT = {"float64": -600.0, "float32": -60.0}
"""exp() of less is nothing beside 1, but subnormal numbers make the second product 10x slower."""


class Expansion:
    """Mixtures of one layout as linear forms in the quadratic features."""

    def __init__(self, mixtures: tuple[Mixture, ...], frame: Frame, arithmetic: Arithmetic) -> None:
        self.mixtures = tuple(map(weakref.ref, mixtures))
        self.frame, self.arithmetic = frame, arithmetic
        self.features = features_of(mixtures[0])
        ends = list(accumulate(mixture.parts for mixture in mixtures))
        self.ends = np.array(ends)
        self.slices = [slice(a, b) for a, b in pairwise([0, *ends])]

    @cached_property
    def coefficients(self) -> NDArray[np.floating]:
        """A (K, F) of all mixtures; not needed where a look leaves few pairs of every row."""
        return self._coefficients()

    @cached_property
    def even(self) -> tuple[Array, Array]:
        """Coefficients and constants, as the compiled loops have them."""
        return even(self._coefficients())

    def _coefficients(self) -> NDArray[np.floating]:
        living = (mixture() for mixture in self.mixtures)  # whoever sweeps holds them
        each = [coefficients(one, self.frame, self.features) for one in living if one is not None]
        return np.concatenate(each, dtype=self.arithmetic, casting="same_kind")


@Remembered
def expansion(mixtures: tuple[Mixture, ...], frame: Frame, arithmetic: Arithmetic) -> Expansion:
    return Expansion(mixtures, frame, arithmetic)


class QuadraticSums:
    """Coefficients of mixtures of one layout, and the sums that their statistics follow from."""

    def __init__(
        self, mixtures: Sequence[Mixture], frame: Frame, arithmetic: Arithmetic = "float64"
    ) -> None:
        self.mixtures = mixtures
        self.frame = frame
        self.expansion = expansion(tuple(mixtures), frame, arithmetic)
        self.features, self.slices = self.expansion.features, self.expansion.slices
        self.sums = np.zeros((self.expansion.ends[-1], self.features.count))
        self.totals = np.zeros((len(mixtures), 3))
        self.rows = 0
        self.weight = 0.0

    def count(self, rows: Rows, weights: Array | None) -> None:
        """Rows whose weight is not 0, and their total weight."""
        self.rows += len(rows) if weights is None else int(np.count_nonzero(weights))
        self.weight += len(rows) if weights is None else float(weights.sum())

    def statistics(self) -> list[SufficientStatistics]:
        """What was added, for each mixture."""
        return [self._statistics(i) for i in range(len(self.mixtures))]

    def _statistics(self, index: int) -> SufficientStatistics:
        mixture = self.mixtures[index]
        sums = self.sums[self.slices[index]]
        log_likelihood, entropy, log_max = self.totals[index].tolist()
        totals = log_likelihood, entropy, log_max
        noise = None
        if mixture.noise is not None:
            noise = self._of_sums(sums[-1:], mixture.kind.layout, (0.0, 0.0, 0.0))
        gaussians = self._of_sums(sums[: mixture.components], mixture.kind.layout, totals)
        return gaussians if noise is None else replace(gaussians, noise=noise)

    def _of_sums(
        self, sums: Array, layout: Layout, totals: tuple[float, float, float]
    ) -> SufficientStatistics:
        second, first, counts = self.features.unpack(sums)
        means = first / np.where(counts > 0, counts, 1)[:, None]
        scale = self.frame.scale
        scatter = layout.about_means(second, counts, means, scale)
        centre = np.where(counts > 0, 1.0, 0.0)[:, None] * self.frame.centre
        return SufficientStatistics(
            counts,
            *two_sum(centre, means * scale),
            scatter,
            layout,
            *totals,
            self.rows,
            self.weight,
        )


class QuadraticKernel(QuadraticSums):
    """Sums statistics of rows for mixtures of one layout; `add` takes at most `step` rows."""

    def __init__(
        self, mixtures: Sequence[Mixture], frame: Frame, arithmetic: Arithmetic = "float64"
    ) -> None:
        super().__init__(mixtures, frame, arithmetic)
        self.coefficients = self.expansion.coefficients
        components, columns = self.coefficients.shape
        itemsize = self.coefficients.itemsize
        fitting = TEMPORARIES // (itemsize * (columns + 2 * components))
        self.step = int(np.clip(fitting // 64 * 64, 128, 8192))
        self.floor = LOWEST_EXPONENT[arithmetic]
        self.phi = np.ones((columns, self.step), arithmetic)
        self.logs = np.empty((components, self.step), arithmetic)
        self.posteriors = np.empty_like(self.logs)

    def add(self, rows: Rows, weights: Array | None) -> bool:
        """Add these rows; False, and nothing added, where the expansion overflows for them."""
        size = len(rows)
        phi = self.phi[:, :size]
        self.features.fill(phi, rows, self.frame)
        logs = np.matmul(self.coefficients, phi, out=self.logs[:, :size])
        posteriors = self.posteriors[:, :size]
        totals = np.array(
            [softmax(logs[part], posteriors[part], weights, self.floor) for part in self.slices]
        )
        if not np.isfinite(totals).all():
            return False
        self.sums += posteriors @ phi.T
        self.totals += totals
        self.count(rows, weights)
        return True


def softmax(
    logs: NDArray[np.floating], out: NDArray[np.floating], weights: Array | None, floor: float
) -> tuple[float, float, float]:
    """Weighted responsibilities of log joint densities (K, B), which are overwritten; and
    Σ log p(x), the entropy of the responsibilities, and Σ log of the largest of them."""
    top = logs.max(axis=0)
    logs -= top
    np.clip(logs, floor, 0.0, out=logs)  # half the time of np.maximum
    np.exp(logs, out=out)
    total = out.sum(axis=0)
    log_total = np.log(total)
    if weights is None:
        out *= 1 / total
        evidence = float(log_total.sum(dtype=np.float64))
        peak = float(top.sum(dtype=np.float64))
    else:
        out *= (weights / total).astype(out.dtype)
        evidence = float(weights @ log_total)
        peak = float(weights @ top)
    mixed = float(np.vdot(out, logs))
    return evidence + peak, evidence - mixed, -evidence


def coefficients(mixture: Mixture, frame: Frame, features: OuterFeatures | SquareFeatures) -> Array:
    """A (K, F): each line gives log w_k N(x | k) as a linear form in φ(z)."""
    return linear_forms(*standardised(mixture, frame), mixture.terms.log_normalisers, features)


def standardised(mixture: Mixture, frame: Frame) -> tuple[Array, Array]:
    """The means, and the factors of the precisions, in the coordinates z."""
    means, factors, _ = mixture.terms
    means = (means - frame.centre) / frame.scale
    return means, factors * (frame.scale if factors.ndim == 2 else frame.scale[:, None])


def linear_forms(
    means: Array, factors: Array, normalisers: Array, features: OuterFeatures | SquareFeatures
) -> Array:
    """normaliser_k − ½ |U_kᵀ(z − μ_k)|² as linear forms in φ(z), (K, F)."""
    if factors.ndim == 2:
        precisions = factors**2
        linear = precisions * means
    else:
        precisions = factors @ factors.transpose(0, 2, 1)
        linear = np.einsum("kij,kj->ki", precisions, means)
    constant = normalisers - 0.5 * np.einsum("ki,ki->k", linear, means)
    parts = features.second_order(precisions), linear, constant[:, None]
    return np.concatenate(parts, axis=1)


def even(coefficients: NDArray[np.floating]) -> tuple[Array, Array]:
    """Coefficients, and the constants that are their last column, filled up with zeros to even
    numbers of both components and features."""
    components, columns = coefficients.shape[0], coefficients.shape[1] - 1
    filled = np.zeros((components + components % 2, columns + columns % 2))
    filled[:components, :columns] = coefficients[:, :-1]
    constants = np.zeros(len(filled))
    constants[:components] = coefficients[:, -1]
    return filled, constants
