"""What a mixture says of a block of rows: log joint densities, and all that follows from them.

Knows blocks and the policy for rows that are not finite; knows neither Dask nor what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.passes import one_blas_thread
from gmm_dask.chunked.rows import DataError, Policy, Table, largest_value
from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.density import log_sum_exp
from gmm_dask.mixture.parameters import Mixture

Place: TypeAlias = Callable[[int], str]
"""What to call row i of a block in an error message."""

STRIP_VALUES = 2**18
SKIPPED = -1
"""The label of a row that the policy skips; its densities and probabilities are NaN."""


def log_joint_of(table: Table, mixture: Mixture, nonfinite: Policy, place: Place) -> Array:
    """log w_k N(x_n | μ_k, Σ_k), (N, K); rows that are not finite are errors, or NaN if skipped."""
    usable = usable_rows(table)
    with one_blas_thread():
        if usable.all():
            return mixture.log_joint(table)
        if nonfinite == "error":
            raise _unusable(table, usable, place)
        logs = np.full((len(table), mixture.components), np.nan)
        logs[usable] = mixture.log_joint(table[usable])
    return logs


def usable_rows(table: Table) -> NDArray[np.bool_]:
    """True where every value is finite and small enough to be squared, as in a fit; (N,)."""
    if table.dtype.kind != "f" or len(table) == 0:
        return np.ones(len(table), dtype=np.bool_)
    limit = largest_value(table.dtype)
    # Extremes carry NaN and infinity along: two fast reads where all is well.
    if -limit <= table.min() and table.max() <= limit:
        return np.ones(len(table), dtype=np.bool_)
    return np.asarray((np.abs(table) <= limit).all(axis=1))


def _unusable(table: Table, usable: NDArray[np.bool_], place: Place) -> DataError:
    first = int(np.argmin(usable))
    feature = int(np.argmin(np.abs(table[first]) <= largest_value(table.dtype)))
    others = int(len(usable) - usable.sum()) - 1
    more = f" and {others} more rows of its block" if others else ""
    return DataError(
        f"{place(first)} has {table[first, feature]:g} as feature {feature}{more}: it is not "
        'finite, or too large to be squared; clean it, or pass nonfinite="skip" to label such '
        f"rows {SKIPPED}"
    )


def labels_of(logs: Array) -> Indices:
    """The most probable component of each row, (N,); SKIPPED where the row was."""
    labels: Indices = logs.argmax(axis=1)
    labels[np.isnan(logs[:, 0])] = SKIPPED
    return labels


def responsibilities_of(logs: Array) -> Array:
    """p(component k | x_n), (N, K)."""
    posteriors = np.exp(logs - logs.max(axis=1, keepdims=True))
    posteriors /= posteriors.sum(axis=1, keepdims=True)
    return posteriors


def log_density_of(logs: Array) -> Array:
    """log p(x_n), (N,)."""
    return log_sum_exp(logs)


def strips(table: Table, components: int) -> Iterator[slice]:
    """Parts of a block whose log joint densities take about 2 MB."""
    step = max(64, STRIP_VALUES // max(components, table.shape[1]))
    return (slice(start, start + step) for start in range(0, len(table), step))


def label_dtype(components: int) -> np.dtype[Any]:
    """The smallest signed integer that holds every label and SKIPPED."""
    return np.min_scalar_type(-max(components, 2))
