"""Sufficient statistics: all that the M-step and the criteria need to know of the rows."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from gmm_dask.mixture.arrays import Array, fixed
from gmm_dask.mixture.covariance.layouts import Layout
from gmm_dask.mixture.covariance.triangles import LARGE, mirrored

NEGLIGIBLE = 1e-30
"""Rows of less than this share of a component add nothing to its means and scatter that float64
could hold; where components are apart, as they are in many dimensions, that is nearly all rows."""


@dataclass(frozen=True, eq=False)
class SufficientStatistics:
    """What rows amount to under the responsibilities r_nk of one mixture; add them with `+`.

    counts n_k = Σ_n r_nk (K,); means m_k = Σ_n r_nk x_n / n_k (K, D), and what float64 cannot hold
    of them, `remainders` (K, D): at 1e8 standard deviations from 0 a rounded mean costs the merge
    seven digits. Scatter about those means, S_k = Σ_n r_nk (x_n − m_k)(x_n − m_k)ᵀ: (K, D, D), or
    summed over k (D, D), or its diagonals (K, D), as `layout` says; exactly symmetric. A component
    with n_k = 0 has mean 0 and scatter 0.

    log_likelihood Σ_n log p(x_n); entropy −Σ_nk r_nk log r_nk; log_max Σ_n log max_k r_nk; rows
    whose weight is not 0, and their total weight. Every sum over n is weighted. `noise`: n_0, mean
    and scatter of what is noise's, as of one component, where the mixture has noise.
    """

    counts: Array
    means: Array
    remainders: Array
    scatter: Array
    layout: Layout
    log_likelihood: float
    entropy: float
    log_max: float
    rows: int
    weight: float
    noise: SufficientStatistics | None = None

    @classmethod
    def zero(cls, components: int, features: int, layout: Layout) -> SufficientStatistics:
        """The statistics of no rows: what `+` leaves everything else as it is with."""
        return cls(
            np.zeros(components),
            np.zeros((components, features)),
            np.zeros((components, features)),
            np.zeros(layout.shape(components, features)),
            layout,
            log_likelihood=0.0,
            entropy=0.0,
            log_max=0.0,
            rows=0,
            weight=0.0,
        )

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Between workers and to the driver go the lower triangles of what is large."""
        values = [getattr(self, one.name) for one in fields(self)]
        whole = self.scatter
        if whole.nbytes >= LARGE and not self.layout.diagonal and mirrored(whole):
            values[SCATTER] = self.layout.pack(whole)
        return restored, tuple(values)

    def __add__(self, other: SufficientStatistics) -> SufficientStatistics:
        """The statistics of both sets of rows, in the difference form

        S = S_a + S_b + (n_a n_b / n) Δ Δᵀ,  Δ = m_b − m_a,

        which loses nothing however far the data lie from the origin.
        """
        if self.layout != other.layout or self.means.shape != other.means.shape:
            raise ValueError(
                f"statistics of different mixtures: {self.layout.name} {self.means.shape} and "
                f"{other.layout.name} {other.means.shape}"
            )
        if not self.rows or not other.rows:
            return other if not self.rows else self
        counts = self.counts + other.counts
        share = other.counts / np.where(counts > 0, counts, 1)
        difference = (other.means - self.means) + (other.remainders - self.remainders)
        means, remainders = self._moved(other, share, difference)
        return SufficientStatistics(
            counts,
            means,
            remainders,
            self.scatter + other.scatter + self.layout.between(self.counts * share, difference),
            self.layout,
            self.log_likelihood + other.log_likelihood,
            self.entropy + other.entropy,
            self.log_max + other.log_max,
            self.rows + other.rows,
            self.weight + other.weight,
            self._noise_with(other.noise),
        )

    def _noise_with(self, other: SufficientStatistics | None) -> SufficientStatistics | None:
        if self.noise is None and other is None:
            return None
        if self.noise is None or other is None:
            raise ValueError("statistics of different mixtures: one of them has no noise")
        return self.noise + other

    def _moved(
        self, other: SufficientStatistics, share: Array, difference: Array
    ) -> tuple[Array, Array]:
        """The common mean: from the heavier side's, the shorter way."""
        heavier = (other.counts > self.counts)[:, None]
        step = np.where(heavier, share[:, None] - 1, share[:, None]) * difference
        remainders = np.where(heavier, other.remainders, self.remainders)
        return two_sum(np.where(heavier, other.means, self.means), remainders + step)

    @property
    def mean_log_likelihood(self) -> float:
        """Σ_n log p(x_n) / Σ_n 1: what tolerances are about, and scikit-learn's `score`."""
        return self.log_likelihood / self.weight if self.weight else float("nan")

    @property
    def all_counts(self) -> Array:
        """The counts, (K,), and that of noise last, where there is some."""
        return self._with_noise("counts")

    def _with_noise(self, name: str) -> Array:
        values: Array = getattr(self, name)
        return values if self.noise is None else np.append(values, getattr(self.noise, name), 0)

    def mean(self) -> Array:
        """The mean of all rows, (D,)."""
        return self._moments[0]

    def variance(self) -> Array:
        """The variance of all rows in each feature, (D,): within plus between the components."""
        return self._moments[1]

    @cached_property
    def _moments(self) -> tuple[Array, Array]:
        """Both, which every pass is asked for several times."""
        counts, means = self.all_counts, self._with_noise("means")
        total = counts.sum()
        mean = counts @ means / total
        within = self.layout.squares(self.scatter)
        if self.noise is not None:
            within = within + self.layout.squares(self.noise.scatter)
        between_means = counts @ (means - mean) ** 2
        return fixed(mean), fixed((within + between_means) / total)


SCATTER = [one.name for one in fields(SufficientStatistics)].index("scatter")


def restored(*values: Any) -> SufficientStatistics:
    """Statistics as they were before they were sent."""
    sent = SufficientStatistics(*values)
    shape = sent.layout.shape(*sent.means.shape)
    if sent.scatter.shape == shape:
        return sent
    return replace(sent, scatter=sent.layout.unpack(sent.scatter, shape))


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """a + b as float64 has it, and what rounding took from it (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)
