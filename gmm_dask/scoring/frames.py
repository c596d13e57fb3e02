"""Lazy predictions for Dask data frames: frames and series of the same partitions and index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gmm_dask.chunked.borrowed.dask import described
from gmm_dask.chunked.rows import Policy
from gmm_dask.chunked.sources.protocol import native, real_dtype
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.scoring.densities import log_joint_of

ADDRESS = "the Dask data frame"


def joint_of_frame(frame: Any, mixture: Mixture, held: Any, nonfinite: Policy) -> Any:
    """log w_k N(x_n | μ_k, Σ_k), a column for each component; `held` is the mixture as a task."""
    frame = frame.to_frame() if frame.ndim == 1 else frame
    real_dtype(described(frame).to_numpy().dtype, ADDRESS)
    empty = _framed(described(frame), np.empty((0, mixture.components)))
    return frame.map_partitions(_joint, held, nonfinite, meta=empty, align_dataframes=False)


def columns_of(function: Callable[[Any], Any], joint: Any) -> Any:
    """A function of the joint densities of each row that gives as many columns."""
    return joint.map_partitions(_whole, function, meta=described(joint))


def series_of(function: Callable[[Any], Any], name: str, dtype: Any, joint: Any) -> Any:
    """A function of the joint densities of each row that gives one value."""
    empty = _named(described(joint), np.empty(0, dtype), name)
    return joint.map_partitions(_single, function, name, meta=empty)


def _joint(part: Any, mixture: Mixture, nonfinite: Policy) -> Any:
    def place(row: int) -> str:
        return f"{ADDRESS}: the row of index {part.index[row]}"

    return _framed(part, log_joint_of(native(part.to_numpy()), mixture, nonfinite, place))


def _whole(part: Any, function: Callable[[Any], Any]) -> Any:
    return _framed(part, function(part.to_numpy()))


def _single(part: Any, function: Callable[[Any], Any], name: str) -> Any:
    return _named(part, function(part.to_numpy()), name)


def _framed(part: Any, values: Any) -> Any:
    return type(part)(values, index=part.index)


def _named(part: Any, values: Any, name: str) -> Any:
    return part._constructor_sliced(values, index=part.index, name=name)
