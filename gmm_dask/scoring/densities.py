"""What a mixture says of a block of rows: log joint densities, and all that follows from them.

Knows blocks and the policy for rows that are not finite; knows neither Dask nor what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.blas import one_blas_thread
from gmm_dask.chunked.rows import DataError, Policy, Values, largest_value
from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.density import log_sum_exp
from gmm_dask.mixture.parameters import Mixture

NameOfRow: TypeAlias = Callable[[int], str]
"""What to call row i of a block in an error message."""
ColumnsFor: TypeAlias = Callable[[int], Mapping[str, NDArray[Any]]]
"""Arrays for so many more rows of a block, to be filled."""

STRIP_VALUES = 8_000
"""Worked on at a time: temporaries stay below 64 kB. On Dask's workers MALLOC_TRIM_THRESHOLD_ is
65536, so larger ones come fresh from the kernel each time, and scoring took three times as long."""

COUNTS = ("rows", "skipped", "log_density", "outliers")
"""What is counted of every block: rows scored and not, Σ log p(x), rows below the threshold."""

SKIPPED = -1
"""The label of a row that the policy skips; its densities and probabilities are NaN."""


def log_joint_of(table: Values, mixture: Mixture, nonfinite: Policy, place: NameOfRow) -> Array:
    """log w_k N(x_n | μ_k, Σ_k), (N, K); rows that are not finite are errors, or NaN if skipped."""
    usable = usable_rows(table)
    if not usable.all():
        if nonfinite == "error":
            raise _unusable(table, usable, place)
        logs = np.full((len(table), mixture.components), np.nan)
        logs[usable] = log_joint_of(table[usable], mixture, nonfinite, place)
        return logs
    logs = np.empty((len(table), mixture.components))
    with one_blas_thread():
        for strip in strips(table, mixture):
            logs[strip] = mixture.log_joint(table[strip])
    return logs


def strips(table: Values, mixture: Mixture) -> Iterator[slice]:
    """Parts of a block."""
    step = strip_rows(mixture)
    return (slice(start, start + step) for start in range(0, len(table), step))


def strip_rows(mixture: Mixture) -> int:
    """Rows of a part of a block, but of the last one."""
    return max(64, STRIP_VALUES // max(mixture.components, mixture.features))


def usable_rows(table: Values) -> NDArray[np.bool_]:
    """True where every value is finite and small enough to be squared, as in a fit; (N,)."""
    if table.dtype.kind != "f" or len(table) == 0:
        return np.ones(len(table), dtype=np.bool_)
    limit = largest_value(table.dtype)
    # Extremes carry NaN and infinity along: two fast reads where all is well.
    if -limit <= table.min() and table.max() <= limit:
        return np.ones(len(table), dtype=np.bool_)
    return np.asarray((np.abs(table) <= limit).all(axis=1))


def _unusable(table: Values, usable: NDArray[np.bool_], place: NameOfRow) -> DataError:
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


def fill_scores(
    columns_for: ColumnsFor,
    table: Values,
    mixture: Mixture,
    nonfinite: Policy,
    place: NameOfRow,
    threshold: float | None = None,
) -> Array:
    """Fill arrays that are named for what they hold with the scores of a block; and count.

    `columns_for` gives the arrays for a strip once those before are filled. Names: labels,
    log_density, probabilities, top_components, top_probabilities, and outlier where
    log p(x) < threshold. Returns COUNTS and how many rows have each label.
    """
    counts = np.zeros(len(COUNTS) + mixture.components)
    for strip in strips(table, mixture):
        logs = log_joint_of(table[strip], mixture, nonfinite, partial(_shifted, place, strip.start))
        counts += _fill(columns_for(len(logs)), logs, -np.inf if threshold is None else threshold)
    return counts


def _shifted(place: NameOfRow, start: int, row: int) -> str:
    return place(start + row)


def _fill(columns: Mapping[str, NDArray[Any]], logs: Array, threshold: float) -> Array:
    labels, density = labels_of(logs), log_density_of(logs)
    scored = labels != SKIPPED
    below = density < threshold
    for name, values in (("labels", labels), ("log_density", density), ("outlier", below)):
        if name in columns:
            columns[name][...] = values
    if "probabilities" in columns:
        columns["probabilities"][...] = responsibilities_of(logs)
    if "top_components" in columns:
        _fill_top(columns, responsibilities_of(logs), scored)
    known = density[scored].sum()
    per_label = np.bincount(labels[scored], minlength=logs.shape[1])
    return np.array([scored.sum(), (~scored).sum(), known, below.sum(), *per_label])


def _fill_top(
    columns: Mapping[str, NDArray[Any]], posteriors: Array, scored: NDArray[np.bool_]
) -> None:
    """The most probable components in falling order; of equal ones the first, as in labels."""
    most = columns["top_components"].shape[1]
    order = np.argsort(-posteriors, axis=1, kind="stable")[:, :most]
    columns["top_probabilities"][...] = np.take_along_axis(posteriors, order, axis=1)
    columns["top_components"][...] = np.where(scored[:, None], order, SKIPPED)
