"""Lazy predictions for Dask data frames: frames and series of the same partitions and index."""

from __future__ import annotations

from typing import Any

import numpy as np

from gmm_dask.chunked.borrowed.dask import described
from gmm_dask.chunked.rows import Policy
from gmm_dask.chunked.sources.protocol import native, real_dtype
from gmm_dask.scoring.densities import Answer, Scored

ADDRESS = "the Dask data frame"


def answer_of_frame(
    frame: Any, answer: Answer, mixture: Scored, held: Any, nonfinite: Policy
) -> Any:
    """A column for each component, or a series; `held` is the mixture as a task."""
    frame = frame.to_frame() if frame.ndim == 1 else frame
    real_dtype(described(frame).to_numpy().dtype, ADDRESS)
    shape = (0, mixture.parts) if answer.per_component else (0,)
    empty = _indexed(described(frame), np.empty(shape, answer.dtype), answer)
    return frame.map_partitions(
        _answered, answer, held, nonfinite, meta=empty, align_dataframes=False
    )


def _answered(part: Any, answer: Answer, mixture: Scored, nonfinite: Policy) -> Any:
    def place(row: int) -> str:
        return f"{ADDRESS}: the row of index {part.index[row]}"

    return _indexed(part, answer.of(native(part.to_numpy()), mixture, nonfinite, place), answer)


def _indexed(part: Any, values: Any, answer: Answer) -> Any:
    if answer.per_component:
        return type(part)(values, index=part.index)
    return part._constructor_sliced(values, index=part.index, name=answer.name)
