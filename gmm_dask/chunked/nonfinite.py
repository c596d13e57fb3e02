"""Rows with NaN or infinity, or values too large to be squared: which they are, and what becomes of
them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.sources import DataError, Values

Policy = Literal["error", "masked", "skip"]
"""Of rows with NaN or infinity: refused; left out where all of a row is NaN, as where a mask lies,
and else refused; left out."""

Weights: TypeAlias = NDArray[np.float64] | None
Chosen: TypeAlias = NDArray[np.bool_]

LARGEST_VALUE = 1e150  # squares of larger finite values overflow in every statistic


@dataclass(frozen=True)
class Fault:
    """One value that cannot be used."""

    row: int
    feature: int
    value: float


def kept_rows(
    table: Values, weights: Weights, nonfinite: Policy = "skip"
) -> tuple[Values, Weights]:
    """Drop rows with a value that is not finite or beyond 1e150; untouched where there is none.

    Refuses those that the policy does not leave out.
    """
    if table.dtype.kind != "f" or len(table) == 0:
        return table, weights
    # Extremes carry NaN and infinity along: two fast reads where nothing is to be dropped.
    limit = largest_value(table.dtype)
    if -limit <= table.min() and table.max() <= limit:
        return table, weights
    keep = (np.abs(table) <= limit).all(axis=1)
    if refused := int(refused_rows(table, keep, nonfinite).sum()):
        raise DataError(
            f"{refused} of {len(keep)} cells of a block are not finite in some features; clean "
            'them, or pass nonfinite="skip" to leave them out'
        )
    return table[keep], None if weights is None else weights[keep]


def refused_rows(table: Values, usable: Chosen, nonfinite: Policy) -> Chosen:
    """Those of the rows that are not usable that the policy does not leave out, (N,)."""
    if nonfinite == "error":
        return ~usable
    if nonfinite == "skip":
        return np.zeros_like(usable)
    return ~(usable | np.isnan(table).all(axis=1))


def largest_value(dtype: np.dtype[Any]) -> float:
    """The largest magnitude that counts as finite in this dtype."""
    return min(LARGEST_VALUE, float(np.finfo(dtype).max))


def faults_of(x: Values, finite: Chosen, refused: Chosen, first_row: int, most: int) -> list[Fault]:
    """The first offending value of each of the first rows that are refused."""
    faulty = np.flatnonzero(refused)[: max(most, 0)]
    columns = (~finite[faulty]).argmax(axis=1)
    return [
        Fault(first_row + int(i), int(j), float(x[i, j]))
        for i, j in zip(faulty, columns, strict=True)
    ]
