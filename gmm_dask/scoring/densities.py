"""What a mixture says of a block of rows, and what is counted of that.

Knows blocks and the policy for rows that are not finite; knows neither Dask nor what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.blas import one_blas_thread
from gmm_dask.chunked.nonfinite import Policy, largest_value, refused_rows
from gmm_dask.chunked.rows import DataError, Values
from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.density import Scores, strips
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.scoring.merging.merged import MergedMixture

Scored: TypeAlias = Mixture | MergedMixture
"""What rows are scored by: labels and probabilities are of its components, or of its clusters."""
NameOfRow: TypeAlias = Callable[[int], str]
"""What to call row i of a block in an error message."""
ColumnsFor: TypeAlias = Callable[[int], Mapping[str, NDArray[Any]]]
"""Arrays for so many more rows of a block, to be filled."""

COLUMN_VALUES, MOST_ROWS = 2**18, 8192
"""Scores, or rows, that are held beside a block at once."""

COUNTS = ("rows", "skipped", "log_density", "outliers")
"""What is counted of every block: rows scored and not, Σ log p(x), rows below the threshold."""

SKIPPED = -1
"""The label of a row that the policy skips, as of noise; but its densities and probabilities are
NaN."""


def labels_of(table: Values, mixture: Scored, nonfinite: Policy, place: NameOfRow) -> Indices:
    """The most probable component of each row, (N,); −1 for noise."""
    return mixture.told(scores_of(table, mixture, nonfinite, place).labels)


def log_density_of(table: Values, mixture: Scored, nonfinite: Policy, place: NameOfRow) -> Array:
    """log p(x_n), (N,)."""
    return scores_of(table, mixture, nonfinite, place, density=True).log_density


def responsibilities_of(
    table: Values, mixture: Scored, nonfinite: Policy, place: NameOfRow
) -> Array:
    """p(component k | x_n), (N, K); that of noise last."""
    return scores_of(table, mixture, nonfinite, place, responsibilities=True).responsibilities


def log_joint_of(table: Values, mixture: Scored, nonfinite: Policy, place: NameOfRow) -> Array:
    """log w_k N(x_n | μ_k, Σ_k), (N, K)."""
    usable = checked_rows(table, nonfinite, place)
    with one_blas_thread():
        return placed(mixture.log_joint(table[usable]), usable)


class Answer(NamedTuple):
    """Something that is said of each row, under its name: one value, or one for each component."""

    name: str
    of: Callable[[Values, Scored, Policy, NameOfRow], NDArray[Any]]
    dtype: type = np.float64
    per_component: bool = False


LABELS = Answer("labels", labels_of, np.intp)
DENSITY = Answer("density", log_density_of)
RESPONSIBILITIES = Answer("responsibilities", responsibilities_of, per_component=True)
JOINT = Answer("joint", log_joint_of, per_component=True)


def scores_of(
    table: Values,
    mixture: Scored,
    nonfinite: Policy,
    place: NameOfRow,
    *,
    density: bool = False,
    responsibilities: bool = False,
) -> Scores:
    """All that is asked for of a block; rows that are not finite are errors, or SKIPPED and NaN.
    Rows that are most probably noise have the label K."""
    usable = checked_rows(table, nonfinite, place)
    with one_blas_thread():
        found = mixture.scores(table[usable], density=density, responsibilities=responsibilities)
    return Scores(
        placed(found.labels, usable),
        placed(found.log_density, usable) if density else found.log_density,
        placed(found.responsibilities, usable) if responsibilities else found.responsibilities,
    )


def checked_rows(table: Values, nonfinite: Policy, place: NameOfRow) -> NDArray[np.bool_] | slice:
    """The rows that can be scored; an error where there are others that are not to be skipped."""
    usable = usable_rows(table)
    if usable.all():
        return slice(None)
    refused = refused_rows(table, usable, nonfinite)
    if refused.any():
        raise _unusable(table, refused, place)
    return usable


def placed(values: NDArray[Any], usable: NDArray[np.bool_] | slice) -> NDArray[Any]:
    """Values of the rows that can be scored, in their places among all."""
    if isinstance(usable, slice):
        return values
    absent = SKIPPED if values.dtype.kind == "i" else np.nan
    whole = np.full((len(usable), *values.shape[1:]), absent, values.dtype)
    whole[usable] = values
    return whole


def strip_rows(mixture: Scored) -> int:
    """Rows of a part of a block, but of the last one."""
    widest = max(mixture.parts, mixture.features)
    return max(64, min(MOST_ROWS, COLUMN_VALUES // widest))


def usable_rows(table: Values) -> NDArray[np.bool_]:
    """True where every value is finite and small enough to be squared, as in a fit; (N,)."""
    if table.dtype.kind != "f" or len(table) == 0:
        return np.ones(len(table), dtype=np.bool_)
    limit = largest_value(table.dtype)
    # Extremes carry NaN and infinity along: two fast reads where all is well.
    if -limit <= table.min() and table.max() <= limit:
        return np.ones(len(table), dtype=np.bool_)
    return np.asarray((np.abs(table) <= limit).all(axis=1))


def _unusable(table: Values, refused: NDArray[np.bool_], place: NameOfRow) -> DataError:
    first = int(np.argmax(refused))
    feature = int(np.argmin(np.abs(table[first]) <= largest_value(table.dtype)))
    others = int(refused.sum()) - 1
    more = f" and {others} more rows of its block" if others else ""
    return DataError(
        f"{place(first)} has {table[first, feature]:g} as feature {feature}{more}: it is not "
        'finite, or too large to be squared; clean it, or pass nonfinite="skip" to label such '
        f"rows {SKIPPED}"
    )


def fill_scores(
    columns_for: ColumnsFor,
    table: Values,
    mixture: Scored,
    nonfinite: Policy,
    place: NameOfRow,
    threshold: float | None = None,
) -> Array:
    """Fill arrays that are named for what they hold with the scores of a block; and count.

    `columns_for` gives the arrays for a strip once those before are filled. Names: labels,
    log_density, probabilities, top_components, top_probabilities, and outlier where
    log p(x) < threshold. Returns COUNTS and how many rows have each label, noise's last.
    """
    counts = np.zeros(len(COUNTS) + mixture.parts)
    below = -np.inf if threshold is None else threshold
    for strip in strips(len(table), strip_rows(mixture)):
        part = table[strip]
        columns = columns_for(len(part))
        posteriors = "probabilities" in columns or "top_components" in columns
        found = scores_of(
            part,
            mixture,
            nonfinite,
            partial(_shifted, place, strip.start),
            density=True,
            responsibilities=posteriors,
        )
        counts += _fill(columns, found, mixture, below)
    return counts


def _shifted(place: NameOfRow, start: int, row: int) -> str:
    return place(start + row)


def _fill(
    columns: Mapping[str, NDArray[Any]], found: Scores, mixture: Scored, threshold: float
) -> Array:
    labels, density, posteriors = found
    scored, below = labels != SKIPPED, density < threshold
    for name, values in (
        ("labels", mixture.told(labels)),
        ("log_density", density),
        ("outlier", below),
        ("probabilities", posteriors),
    ):
        if name in columns:
            columns[name][...] = values
    if "top_components" in columns:
        _fill_top(columns, posteriors, scored, mixture)
    known = density[scored].sum()
    per_label = np.bincount(labels[scored], minlength=mixture.parts)
    return np.array([scored.sum(), (~scored).sum(), known, below.sum(), *per_label])


def _fill_top(
    columns: Mapping[str, NDArray[Any]],
    posteriors: Array,
    scored: NDArray[np.bool_],
    mixture: Scored,
) -> None:
    """The most probable components in falling order; of equal ones the first, as in labels."""
    most = columns["top_components"].shape[1]
    order = np.argsort(-posteriors, axis=1, kind="stable")[:, :most]
    columns["top_probabilities"][...] = np.take_along_axis(posteriors, order, axis=1)
    columns["top_components"][...] = np.where(scored[:, None], mixture.told(order), SKIPPED)
