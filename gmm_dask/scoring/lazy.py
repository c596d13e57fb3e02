"""Lazy predictions: labels, responsibilities and densities as Dask arrays beside the rows.

    rows ──▶ score-joint (N, K) ──▶ score-labels, score-responsibilities, score-density

Chunks along rows are those of the source: the blocks of the plan where workers read them, the
array's own chunks where the source is a Dask array, also while their sizes are unknown. Of a Dask
data frame they are series and frames of its index. Rows never pass through this process.
Predictions that are computed together share the joint densities.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import dask
import dask.array
import numpy as np
from dask.base import tokenize
from numpy.typing import NDArray

from gmm_dask.chunked.borrowed.dask import holding, planned
from gmm_dask.chunked.rows import DataError, Policy, Rows, Values, open_rows
from gmm_dask.chunked.sources.dask_source import DaskSource, refuse_other_blocks
from gmm_dask.chunked.sources.frame_source import (
    frame_names,
    is_dask_frame,
)
from gmm_dask.chunked.sources.memory_source import MemorySource
from gmm_dask.chunked.sources.protocol import native
from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.scoring.densities import labels_of, log_density_of, log_joint_of, responsibilities_of
from gmm_dask.scoring.frames import ADDRESS, columns_of, joint_of_frame, series_of

Held: TypeAlias = NDArray[Any]
"""No dimension, and one thing in it."""


def labels(source: object, mixture: Mixture, **opening: Any) -> Any:
    """The most probable component of each row, (N,); -1 for rows that the policy skips.

    `source` is a `Rows`, or anything that `open_rows` takes, with its options.
    """
    return _per_row(labels_of, "labels", np.intp, log_joint(source, mixture, **opening))


def log_density(source: object, mixture: Mixture, **opening: Any) -> Any:
    """log p(x_n), (N,); NaN for rows that the policy skips."""
    return _per_row(log_density_of, "density", np.float64, log_joint(source, mixture, **opening))


def responsibilities(source: object, mixture: Mixture, **opening: Any) -> Any:
    """p(component k | x_n), (N, K); NaN for rows that the policy skips."""
    joint = log_joint(source, mixture, **opening)
    if is_dask_frame(joint):
        return columns_of(responsibilities_of, joint)
    return joint.map_blocks(
        responsibilities_of,
        name=_name("responsibilities", joint.name),
        dtype=np.float64,
        meta=np.empty((0, 0)),
    )


def log_joint(source: object, mixture: Mixture, **opening: Any) -> Any:
    """log w_k N(x_n | μ_k, Σ_k), (N, K); NaN for rows that the policy skips."""
    nonfinite: Policy = opening.get("nonfinite", "error")
    if is_dask_frame(source) and set(opening) <= {"nonfinite"}:
        _check_features(len(frame_names(source)), mixture, ADDRESS)
        return joint_of_frame(source, mixture, _delayed(mixture), nonfinite)
    if isinstance(source, dask.array.Array) and set(opening) <= {"nonfinite"}:
        return _joint_of_array(_as_table(source), mixture, nonfinite, f"Dask array {source.name}")
    opened = source if isinstance(source, Rows) else open_rows(source, **opening)
    rows = replace(opened, weights=None)
    _check_features(rows.shape[1], mixture, rows.source.address)
    origin, end = rows.cuts[0], rows.cuts[-1]
    if isinstance(rows.source, DaskSource):
        table = rows.source.array[origin:end]
    elif isinstance(rows.source, MemorySource):
        lengths = tuple(int(n) for n in np.diff(rows.cuts))
        table = rows.source.read(origin, end)
        table = dask.array.from_array(table, chunks=(lengths, rows.shape[1]))
    else:
        return _joint_of_blocks(rows, mixture)
    return _joint_of_array(table, mixture, rows.nonfinite, rows.source.address)


def _joint_of_array(
    table: dask.array.Array, mixture: Mixture, nonfinite: Policy, address: str
) -> dask.array.Array:
    _check_features(table.shape[1], mixture, address)
    return table.map_blocks(
        _score_chunk,
        _once(mixture, table),
        nonfinite,
        address,
        name=_name("joint", table.name, mixture, nonfinite),
        chunks=(table.chunks[0], (mixture.components,)),
        dtype=np.float64,
        meta=np.empty((0, 0)),
    )


def _joint_of_blocks(rows: Rows, mixture: Mixture) -> dask.array.Array:
    """Blocks that each worker reads by itself: a task is told no more than a number."""
    lengths = tuple(int(n) for n in np.diff(rows.cuts))
    numbers = dask.array.arange(len(rows), chunks=1)
    return dask.array.map_blocks(
        _score_block,
        numbers,
        _once(rows, numbers),
        _once(mixture, numbers),
        name=_name("joint", rows, mixture),
        chunks=(lengths, (mixture.components,)),
        new_axis=1,
        dtype=np.float64,
        meta=np.empty((0, 0)),
    )


def _score_chunk(
    table: Values, held: Held, nonfinite: Policy, address: str, block_id: tuple[int, ...]
) -> Array:
    mixture: Mixture = held.item()
    place = partial("{}: row {} of chunk {}".format, address)
    return log_joint_of(native(table), mixture, nonfinite, lambda i: place(i, block_id[0]))


def _score_block(number: Any, held_rows: Held, held: Held) -> Array:
    rows: Rows = held_rows.item()
    mixture: Mixture = held.item()
    index = int(number[0])
    rows.verify(index)
    first = rows.blocks[index][0]
    table = rows.read_all(index)[0]
    address = rows.source.address
    return log_joint_of(table, mixture, rows.nonfinite, lambda i: f"{address}: row {first + i}")


def _per_row(function: Any, what: str, dtype: Any, joint: Any) -> Any:
    if is_dask_frame(joint):
        return series_of(function, what, dtype, joint)
    return joint.map_blocks(
        function,
        name=_name(what, joint.name),
        drop_axis=1,
        dtype=dtype,
        meta=np.empty(0, dtype=dtype),
    )


def _once(value: object, beside: Any) -> Any:
    """A block beside all those of an array: sent once to each worker, not along with each."""
    return holding(value, _name_of(value), beside)


def _delayed(value: object) -> Any:
    """The same beside the partitions of a frame."""
    return dask.delayed(value, name=_name_of(value), traverse=False)


def _name_of(value: object) -> str:
    return f"score-{type(value).__name__.lower()}-{tokenize(_identity(value))}"


def _name(what: str, *identity: object) -> str:
    """Equal for the same rows and the same mixture: what was computed already is found again."""
    return f"score-{what}-{tokenize(*map(_identity, identity))}"


def _identity(value: object) -> object:
    if isinstance(value, Mixture):
        return value.family, value.weights, value.means, value.covariances
    return (value.fingerprint(), value.missing_chunks) if isinstance(value, Rows) else value


def _as_table(array: dask.array.Array) -> dask.array.Array:
    """A Dask array as rows × all features, on its own chunks, whatever is known of their sizes."""
    address = f"Dask array {array.name}"
    if array.ndim not in (1, 2):
        raise DataError(f"{address} has {array.ndim} dimensions; pass rows × features")
    refuse_other_blocks(array, address)
    if np.isnan(array.shape).any():
        array = planned(array)  # the new engine sets nothing beside chunks of unknown size
    if array.ndim == 2:
        return array if array.numblocks[1] == 1 else array.rechunk({1: -1})
    # Dask's new array engine has no array[:, None].
    one = np.empty((0, 0), array.dtype)
    return array.map_blocks(_as_column, chunks=(array.chunks[0], (1,)), new_axis=1, meta=one)


def _as_column(block: Values) -> Values:
    return block.reshape(-1, 1)


def _check_features(features: float, mixture: Mixture, address: str) -> None:
    if features != mixture.features:
        raise DataError(
            f"{address} has {features:g} features and the mixture {mixture.features}; choose "
            "them with features="
        )
