"""Lazy predictions: labels, responsibilities and densities as Dask arrays beside the rows.

    rows ──▶ score-table (N, D) ──▶ score-labels, score-density, score-responsibilities, score-joint

Chunks along rows are those of the source: the blocks of the plan where workers read them, the
array's own chunks where the source is a Dask array, also while their sizes are unknown. Of a Dask
data frame they are series and frames of its index. Rows never pass through this process.
Predictions that are computed together read each block once.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias

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
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.scoring.densities import DENSITY, JOINT, LABELS, RESPONSIBILITIES, Answer, Scored
from gmm_dask.scoring.frames import ADDRESS, answer_of_frame
from gmm_dask.scoring.labelled import labelled
from gmm_dask.scoring.merging.merged import MergedMixture

Held: TypeAlias = NDArray[Any]
"""No dimension, and one thing in it."""


def labels(source: object, mixture: Scored, **opening: Any) -> Any:
    """The most probable component of each row, (N,); -1 for noise, and for rows that the policy
    skips.

    `source` is a `Rows`, or anything that `open_rows` takes, with its options.
    """
    return _answered(LABELS, source, mixture, **opening)


def log_density(source: object, mixture: Scored, **opening: Any) -> Any:
    """log p(x_n), (N,); NaN for rows that the policy skips."""
    return _answered(DENSITY, source, mixture, **opening)


def responsibilities(source: object, mixture: Scored, **opening: Any) -> Any:
    """p(component k | x_n), (N, K), that of noise last; NaN for rows that the policy skips."""
    return _answered(RESPONSIBILITIES, source, mixture, **opening)


def log_joint(source: object, mixture: Scored, **opening: Any) -> Any:
    """log w_k N(x_n | μ_k, Σ_k), (N, K); NaN for rows that the policy skips."""
    return _answered(JOINT, source, mixture, **opening)


def _answered(answer: Answer, source: object, mixture: Scored, **opening: Any) -> Any:
    nonfinite: Policy = opening.get("nonfinite", "error")
    if is_dask_frame(source) and set(opening) <= {"nonfinite"}:
        _check_features(len(frame_names(source)), mixture, ADDRESS)
        return answer_of_frame(source, answer, mixture, _delayed(mixture), nonfinite)
    if isinstance(source, dask.array.Array) and set(opening) <= {"nonfinite"}:
        return _of_array(answer, _as_table(source), mixture, nonfinite, f"Dask array {source.name}")
    opened = source if isinstance(source, Rows) else open_rows(source, **opening)
    rows = replace(opened, weights=None)
    _check_features(rows.shape[1], mixture, rows.source.address)
    if rows.cells is None or rows.shape[0] != rows.source.shape[0]:
        return _of_rows(answer, rows, mixture)
    said = _said if isinstance(rows.source, MemorySource) else _of_rows
    return labelled(rows.cells, answer, said(answer, rows, mixture), mixture)


def _said(answer: Answer, rows: Rows, mixture: Scored) -> NDArray[Any]:
    """Of rows in memory at once, as xarray's own functions answer for what they hold there."""
    place = partial(Places(rows.source.address, (0,)).row, 0)
    return answer.of(rows.source.read(0, rows.shape[0]), mixture, rows.nonfinite, place)


def _of_rows(answer: Answer, rows: Rows, mixture: Scored) -> Any:
    origin, end = rows.cuts[0], rows.cuts[-1]
    starts: tuple[int, ...] = ()
    if isinstance(rows.source, DaskSource):
        table = rows.source.array[origin:end]
    elif isinstance(rows.source, MemorySource):
        table = rows.source.read(origin, end)
        table = dask.array.from_array(table, chunks=(_lengths(rows), rows.shape[1]))
    else:
        table, starts = _table_of_blocks(rows), rows.cuts
    return _of_array(answer, table, mixture, rows.nonfinite, rows.source.address, starts)


def _of_array(
    answer: Answer,
    table: dask.array.Array,
    mixture: Scored,
    nonfinite: Policy,
    address: str,
    starts: tuple[int, ...] = (),
) -> dask.array.Array:
    """An answer for each chunk; where chunks start is known of blocks."""
    _check_features(table.shape[1], mixture, address)
    many = answer.per_component
    return table.map_blocks(
        _answer_chunk,
        _once(answer, table),
        _once(mixture, table),
        _once(Places(address, starts), table),
        nonfinite,
        name=_name(answer.name, table.name, mixture, nonfinite),
        chunks=(table.chunks[0], (mixture.parts,)) if many else (table.chunks[0],),
        drop_axis=[] if many else 1,
        dtype=answer.dtype,
        meta=np.empty((0, 0) if many else 0, answer.dtype),
    )


def _table_of_blocks(rows: Rows) -> dask.array.Array:
    """Blocks that each worker reads by itself: a task is told no more than a number."""
    numbers = dask.array.arange(len(rows), chunks=1)
    dtype = rows.source.dtype.newbyteorder("=")
    return dask.array.map_blocks(
        _read_block,
        numbers,
        _once(rows, numbers),
        name=_name("table", rows),
        chunks=(_lengths(rows), (rows.shape[1],)),
        new_axis=1,
        dtype=dtype,
        meta=np.empty((0, 0), dtype),
    )


class Places(NamedTuple):
    """What rows are called: by their numbers, or by those of their chunks if no more is known."""

    address: str
    starts: tuple[int, ...]

    def row(self, chunk: int, row: int) -> str:
        """One of them."""
        if self.starts:
            return f"{self.address}: row {self.starts[chunk] + row}"
        return f"{self.address}: row {row} of chunk {chunk}"


def _answer_chunk(
    table: Values, answer: Held, mixture: Held, places: Held, nonfinite: Policy, block_id: Any
) -> NDArray[Any]:
    place = partial(places.item().row, block_id[0])
    found: NDArray[Any] = answer.item().of(native(table), mixture.item(), nonfinite, place)
    return found


def _read_block(number: Any, held: Held) -> Values:
    rows: Rows = held.item()
    index = int(number[0])
    rows.verify(index)
    return rows.read_all(index)[0]


def _lengths(rows: Rows) -> tuple[int, ...]:
    return tuple(int(n) for n in np.diff(rows.cuts))


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
        return value.family, value.weights, value.means, value.covariances, *value.noise_told
    if isinstance(value, MergedMixture):
        return value.cluster_of, _identity(value.mixture)
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


def _check_features(features: float, mixture: Scored, address: str) -> None:
    if features != mixture.features:
        raise DataError(
            f"{address} has {features:g} features and the mixture {mixture.features}; choose "
            "them with features="
        )
