"""Rows that lie elsewhere than in this process's memory: told at a glance, opened when needed.

Imports nothing of Dask and Zarr before it must, so that whoever has arrays does not wait for them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from gmm_dask.mixture.refusals import Refusal

if TYPE_CHECKING:
    from gmm_dask.chunked.rows import Rows

HOMES = ("zarr", "dask", "xarray", "gmm_dask")
"""Of types that scikit-learn does not take, and rows that are open already."""


def is_elsewhere(rows: object) -> bool:
    """Whether `open_rows` takes it rather than scikit-learn: anything that is not in memory."""
    if isinstance(rows, (str, os.PathLike, np.memmap)):
        return True
    return type(rows).__module__.partition(".")[0] in HOMES


def opened(rows: object, weights: object = None) -> Rows:
    """Rows as they are, or any other source opened."""
    from gmm_dask.chunked.rows import Rows, open_rows

    if not isinstance(rows, Rows):
        return open_rows(rows, weights=weights)
    if weights is not None:
        raise Refusal(
            "rows that are open already take no sample_weight: open them with open_rows(…, "
            "weights=…)"
        )
    return rows


def names_of_frame(rows: object) -> tuple[str, ...] | None:
    """The features of a Dask data frame; None of anything else."""
    from gmm_dask.chunked.sources.frame_source import frame_names, is_dask_frame

    return tuple(frame_names(rows)) if is_dask_frame(rows) else None


def asked(what: str, rows: object, mixture: Any) -> Any:
    """A lazy answer: `labels`, `responsibilities` or `log_density` of each row."""
    from gmm_dask.scoring import lazy

    return getattr(lazy, what)(rows, mixture)
