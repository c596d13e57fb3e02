"""Dask's arrays: what their blocks are made of, and arrays of its new engine as plain graphs.

The new engine (DASK_ARRAY__QUERY_PLANNING=True) moves slices ahead of `map_blocks`, also where that
gives other rows (seen in Dask 2026.8), and lacks much that is needed here. An array of it becomes
one of the old engine where rows are read: what it computes is planned before anything is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dask
import dask.array
import numpy as np
from dask.highlevelgraph import HighLevelGraph

from gmm_dask.chunked.borrowed.part import Borrowed, gone
from gmm_dask.mixture.refusals import Refusal

core: Any = getattr(dask.array, "core", None)


def planned(array: Any) -> Any:
    """The same array as a graph of the old engine, whose slices are taken of what it computes."""
    if core is None:
        raise Refusal(ENGINE.told())
    if isinstance(array, core.Array):
        return array
    final = array.optimize()
    return core.Array(final.__dask_graph__(), final.name, array.chunks, meta=nothing_like(array))


def as_planned(values: Any) -> Any:
    """A Dask array of either engine, or values in memory, as a graph."""
    return planned(values) if isinstance(values, dask.array.Array) else core.asarray(values)


def values_of(frame: Any) -> Any:
    """The values of a data frame, or of a series, in chunks of unknown size."""
    if core is None or dask.array.Array is core.Array:
        return frame.to_dask_array()
    # Beside the new engine, Dask's frames fail to make arrays of themselves.
    like = described(frame).to_numpy()
    shape = (np.nan, *like.shape[1:])
    made = dask.delayed(_values)
    return core.concatenate(
        [core.from_delayed(made(part), shape, meta=like) for part in frame.to_delayed()]
    )


def _values(part: Any) -> Any:
    return part.to_numpy()


def side_by_side(columns: Sequence[Any]) -> Any:
    """Planned arrays of one dimension as columns."""
    return core.stack(columns, axis=1)


def concatenate(arrays: Sequence[Any]) -> Any:
    """Planned arrays, one after another."""
    return core.concatenate(arrays)


def graphed(
    name: str, tasks: Mapping[Any, Any], arrays: Sequence[Any], chunks: Any, like: Any
) -> Any:
    """An array of tasks over the blocks of planned arrays."""
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=arrays)
    return core.Array(graph, name, chunks, meta=like)


def holding(value: object, name: str, beside: Any) -> Any:
    """A value as a block of its own: an array of no dimension, of the engine of another array.

    The new engine loses delayed arguments of `map_blocks`.
    """
    held = np.empty((), dtype=object)
    held[()] = value
    old = core is not None and isinstance(beside, core.Array)
    make = core.from_array if old else dask.array.from_array
    return make(held, chunks=(), name=name, asarray=False)


def nothing_like(array: Any) -> Any:
    """An empty array of the same dimensions and type."""
    return np.empty((0,) * array.ndim, array.dtype)


def kind_of_blocks(array: Any) -> type:
    """The type of an array's blocks, as far as Dask was told."""
    try:
        return type(described(array))
    except AttributeError:
        gone(META)
        return np.ndarray


def described(array: Any) -> Any:
    """What Dask holds of an array or a frame to know its blocks by: an empty one of their kind."""
    return array._meta


def _look_at_graphs() -> None:
    if not isinstance(planned(dask.array.ones(2, chunks=1)), core.Array):
        raise TypeError("an array is not made of a graph")


def _look_at_meta() -> None:
    if not isinstance(described(dask.array.ones(2, chunks=1)), np.ndarray):
        raise TypeError("_meta is no longer an array like the blocks")


ENGINE = Borrowed(
    "dask",
    "array engine of plain graphs (dask.array.core.Array)",
    "Dask arrays cannot be read: pass what they were made of, a Zarr store or an array in memory",
    _look_at_graphs,
)
META = Borrowed(
    "dask",
    "description of an array's blocks (_meta)",
    "blocks of another kind than NumPy's are refused when they are computed, not when a fit begins",
    _look_at_meta,
)
PARTS = (ENGINE, META)
