"""Dask data frames, recognised without importing them: nobody has one who has not."""

from __future__ import annotations

import sys
from typing import Any

from gmm_dask.chunked.borrowed.dask import values_of
from gmm_dask.chunked.sources.dask_source import open_dask
from gmm_dask.chunked.sources.protocol import Source, default_names


def is_dask_frame(source: object) -> bool:
    frames = sys.modules.get("dask.dataframe")
    return frames is not None and isinstance(source, frames.DataFrame | frames.Series)


def open_frame(frame: Any) -> Source:
    """A Dask data frame as a table of its columns, a series as one feature."""
    array = values_of(frame)
    return open_dask(array, frame_names(frame), f"Dask data frame {array.name}")


def frame_names(frame: Any) -> tuple[str, ...]:
    """What the features of a Dask data frame or series are called."""
    if frame.ndim == 1:
        return default_names(1) if frame.name is None else (str(frame.name),)
    return tuple(str(one) for one in frame.columns)
