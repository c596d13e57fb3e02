"""Rows that lie elsewhere than in this process's memory: told at a glance, opened when needed.

Imports nothing of Dask and Zarr before it must, so that whoever has arrays does not wait for them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gmm_dask.mixture.refusals import Refusal

if TYPE_CHECKING:
    from gmm_dask.chunked.rows import Rows

Dims: TypeAlias = str | Sequence[str] | None

HOMES = ("zarr", "dask", "xarray", "gmm_dask")
"""Of types that scikit-learn does not take, and rows that are open already."""


def is_elsewhere(rows: object) -> bool:
    """Whether `open_rows` takes it rather than scikit-learn: anything that is not in memory."""
    if isinstance(rows, (str, os.PathLike, np.memmap)):
        return True
    return type(rows).__module__.partition(".")[0] in HOMES


def opened(rows: object, weights: object = None, **dims: Any) -> Rows:
    """Rows as they are, or any other source opened."""
    from gmm_dask.chunked.rows import Rows, open_rows

    given = {name: value for name, value in dims.items() if value is not None}
    if not isinstance(rows, Rows):
        return open_rows(rows, weights=weights, **given)
    names = {name: name for name in given}
    if weights is not None:
        names["sample_weight"] = "weights"
    for ours, theirs in names.items():
        raise Refusal(
            f"rows that are open already take no {ours}: open them with open_rows(…, {theirs}=…)"
        )
    return rows


def opened_alike(rows: object, grid: Mapping[str, Any], names: Sequence[str] | None) -> Rows:
    """The features of a grid that was fitted, by their names, of what has names too."""
    from gmm_dask.chunked.sources.opening import has_names

    if not grid or not has_names(rows):
        return opened(rows)
    known = {**grid, "features": names}
    order = known.pop("sample_dims")
    found = opened(rows, **known)
    dims = () if found.cells is None else found.cells.dims
    alike = sorted(dims, key=lambda dim: order.index(dim) if dim in order else len(order))
    return opened(rows, **known, sample_dims=alike)


def grid_of(rows: Rows) -> Mapping[str, Any]:
    """What `opened_alike` needs to find the same features elsewhere; nothing of a plain table."""
    if rows.cells is None or not rows.cells.gridded:
        return {}
    return {**rows.cells.opening, "sample_dims": rows.cells.dims}


def names_of_frame(rows: object) -> tuple[str, ...] | None:
    """The features of a Dask data frame; None of anything else."""
    from gmm_dask.chunked.sources.frame_source import frame_names, is_dask_frame

    return tuple(frame_names(rows)) if is_dask_frame(rows) else None


def asked(what: str, rows: object, mixture: Any) -> Any:
    """A lazy answer: `labels`, `responsibilities` or `log_density` of each row."""
    from gmm_dask.scoring import lazy

    return getattr(lazy, what)(rows, mixture)
