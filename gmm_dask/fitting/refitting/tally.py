"""What mixtures say of rows: means of log densities, responsibilities and outliers, in one pass.

A table of these per row is never made: a strip of it at a time, of which only moments are kept.
Row weights count as so many equal rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any, TypeAlias

import numpy as np

from gmm_dask.chunked.engines.protocol import Engine
from gmm_dask.chunked.moments import Moments, moments_of, no_moments
from gmm_dask.chunked.rows import Rows, Values, Weights, kept_rows
from gmm_dask.fitting.refitting.held_back import held_back_rows
from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.density import scores, strips
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.scoring.densities import strip_rows

Question: TypeAlias = tuple[tuple[Mixture, ...], float, float | None, bool]


@dataclass(frozen=True, eq=False)
class Tally:
    """Of some rows: log density under each mixture, the gain of the last over the first, whether
    the first has it below the threshold, and responsibilities of the first; as moments."""

    rows: int
    mixtures: int
    moments: Moments

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.rows + other.rows, self.mixtures, self.moments + other.moments)

    @property
    def log_densities(self) -> tuple[float, ...]:
        """The mean under each mixture."""
        return tuple(float(mean) for mean in self.moments.mean[: self.mixtures])

    @property
    def gain(self) -> tuple[float, float]:
        """Mean and standard error of log p(x | last) − log p(x | first)."""
        return self._estimate(self.mixtures)

    @property
    def outliers(self) -> tuple[float, float]:
        """The share below the threshold, and its standard error."""
        return self._estimate(self.mixtures + 1)

    @property
    def error(self) -> float:
        """The standard error of the mean log density under the first."""
        return self._estimate(0)[1]

    @property
    def shares(self) -> tuple[float, ...]:
        """Mean responsibilities of the first mixture's components."""
        return tuple(float(mean) for mean in self.moments.mean[self.mixtures + 2 :])

    def _estimate(self, column: int) -> tuple[float, float]:
        variance = float(self.moments.variance[column])
        return float(self.moments.mean[column]), sqrt(variance / max(self.rows, 1))


def tally(
    engine: Engine,
    mixtures: tuple[Mixture, ...],
    *,
    threshold: float = -np.inf,
    held_back: float | None = None,
) -> Tally:
    """One pass over all rows, or over those held back at this share."""
    question = mixtures, threshold, held_back, engine.rows.skips
    return engine.map_reduce(tally_block, question, name="tally", every_row=True)


def tally_block(table: Values, weights: Weights, first_row: int, question: Question) -> Tally:
    """One block."""
    mixtures, threshold, held_back, skipping = question
    table, weights = _asked_for(table, weights, first_row, held_back, skipping)
    moments = no_moments(len(mixtures) + 2 + mixtures[0].parts)
    for strip in strips(len(table), strip_rows(mixtures[0])):
        columns = _told(table[strip], mixtures, threshold)
        moments += moments_of(columns, None if weights is None else weights[strip])
    counted = len(table) if weights is None else int(np.count_nonzero(weights))
    return Tally(counted, len(mixtures), moments)


def _asked_for(
    table: Values, weights: Weights, first_row: int, held_back: float | None, skipping: bool
) -> tuple[Values, Weights]:
    if held_back is not None:
        return held_back_rows(table, weights, first_row, held_back, skipping)
    return kept_rows(table, weights) if skipping else (table, weights)


def _told(table: Values, mixtures: tuple[Mixture, ...], threshold: float) -> Array:
    first = scores(table, mixtures[0].terms, density=True, responsibilities=True)
    densities = [first.log_density, *(other.log_density(table) for other in mixtures[1:])]
    gain, below = densities[-1] - densities[0], densities[0] < threshold
    return np.column_stack([*densities, gain, below, first.responsibilities])


class HeldBackDensities:
    """An engine whose one feature is the log density of the rows held back: for a quantile."""

    def __init__(self, engine: Engine, mixture: Mixture, share: float) -> None:
        self._engine, self._mixture, self._share = engine, mixture, share

    @property
    def rows(self) -> Rows:
        """Those of the engine underneath."""
        return self._engine.rows

    def map_reduce(self, function: Callable[..., Any], value: Any, **how: Any) -> Any:
        """The function, over blocks of log densities."""
        skipping = self.rows.skips
        asked = function, value, self._mixture, self._share, skipping
        return self._engine.map_reduce(over_densities, asked, **how)

    def tell(self, event: str, **facts: object) -> None:
        """As the engine underneath."""
        self._engine.tell(event, **facts)


def over_densities(table: Values, weights: Weights, first_row: int, asked: Any) -> Any:
    """One block of log densities of rows held back."""
    function, value, mixture, share, skipping = asked
    table, weights = held_back_rows(table, weights, first_row, share, skipping)
    return function(mixture.log_density(table)[:, None], weights, first_row, value)
