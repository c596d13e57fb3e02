"""What is said of cells, as xarray has it: dimensions, coordinates, and attributes of CF."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from gmm_dask.chunked.sources.cells import Cells
from gmm_dask.scoring.conventions import attributes_of
from gmm_dask.scoring.densities import Answer, Scored

NAMES = {"labels": "labels", "density": "log_density", "responsibilities": "probabilities"}
"""What answers are called where they are kept."""


def labelled(cells: Cells, answer: Answer, values: Any, mixture: Scored) -> Any:
    """A DataArray of the cells' coordinates, with a dimension `component` where it is of each;
    without labels where xarray, which has them, is not installed."""
    name = NAMES.get(answer.name, answer.name)
    across = ("component",) if answer.per_component else ()
    grid = cells.restored(values)
    if cells.coords is None:
        return grid
    return import_module("xarray").DataArray(
        grid,
        dims=(*cells.dims, *across),
        coords=cells.coords,
        name=name,
        attrs=attributes_of(name, mixture),
    )
