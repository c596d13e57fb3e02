"""Rows stay what the first pass saw: mean and variance of every later pass are held against it.

Both are in the sufficient statistics, whatever the mixture, so that to look costs no pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.profile import Profile
from gmm_dask.chunked.rows import DataError, Rows
from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.kernels import Kernel
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.statistics import NEGLIGIBLE, SufficientStatistics
from gmm_dask.mixture.sweep import Statistics, StatisticsOf

ROUNDING, ROUNDING_OF_FLOAT32 = 1e-8, 1e-3
"""Of a standard deviation and of a variance: kernels have come to differ by 1e-10 at most."""
OF_THE_FURTHEST = 1e-13
"""What float64 leaves of a mean of values so far from 0, however little one of them weighs."""
FLAT = 1e-9
"""Standard deviations of so little of the mean are rounding themselves."""
SMALLEST_VARIANCE = 1e-140
"""Products with smaller ones fall out of float64."""


def watched(statistics_of: StatisticsOf, known: Profile, rows: Rows) -> StatisticsOf:
    """The same statistics; DataError where they are not of the rows that the first pass saw."""
    seen = Seen.by(known, rows.feature_names)

    def statistics_of_the_same(
        mixtures: tuple[Mixture, ...], kernels: tuple[Kernel, ...]
    ) -> Statistics:
        results = statistics_of(mixtures, kernels)
        away = np.maximum.reduce(
            [np.abs(m.mean - seen.mean) + np.sqrt(m.variance) for m in mixtures]
        )
        for statistics, kernel in zip(results, kernels, strict=True):
            difference = seen.change(statistics, kernel, away)
            if difference:
                raise DataError(
                    f"{rows.source.address}: rows have changed since the first pass of this fit: "
                    f"{difference}; wait until nobody writes to them, or fit a copy, and begin anew"
                )
        return results

    return statistics_of_the_same


@dataclass(frozen=True, eq=False)
class Seen:
    """What the first pass saw of the rows, and what follows from it for all later ones."""

    names: tuple[str, ...]
    weight: float
    mean: Array
    sd: Array
    variance: Array
    furthest: Array
    flat: NDArray[np.bool_]

    @classmethod
    def by(cls, known: Profile, names: tuple[str, ...]) -> Seen:
        """Of its profile."""
        furthest = np.maximum(np.abs(known.minimum), np.abs(known.maximum))
        flat = known.sd <= FLAT * np.abs(known.mean)
        return cls(names, known.weight_total, known.mean, known.sd, known.sd**2, furthest, flat)

    def change(self, statistics: SufficientStatistics, kernel: Kernel, away: Array) -> str:
        """What differs by more than rounding, in words; empty where nothing does.

        Rounding is of the rows furthest from 0, and of the place that mixtures see them from: so
        far `away` from their mean, which is far only where a start is.
        """
        rounding = ROUNDING_OF_FLOAT32 if kernel == "quadratic-float32" else ROUNDING
        if abs(statistics.weight - self.weight) > rounding * self.weight:
            return f"their weights together were {self.weight:.9g} and are {statistics.weight:.9g}"
        far = self.furthest
        means = np.where(self.flat, 1e3 * FLAT * np.abs(self.mean), rounding * self.sd)
        means += OF_THE_FURTHEST * (far + away)
        variances = np.where(self.flat, means**2, rounding * self.variance)
        variances += OF_THE_FURTHEST * (far * self.sd + away**2) + NEGLIGIBLE * far**2
        return self._difference("mean", self.mean, statistics.mean(), means) or self._difference(
            "variance", self.variance, statistics.variance(), variances
        )

    def _difference(self, what: str, before: Array, now: Array, rounding: Array) -> str:
        """The feature whose mean or variance differs most, if by more than rounding."""
        excess = np.abs(now - before) / np.maximum(rounding, SMALLEST_VARIANCE)
        worst = int(excess.argmax())
        if not excess[worst] > 1:
            return ""
        return f"the {what} of {self.names[worst]} was {before[worst]:.9g} and is {now[worst]:.9g}"
