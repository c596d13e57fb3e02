"""xarray objects, recognised without importing xarray: nobody has one who has not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from gmm_dask.chunked.borrowed.dask import as_planned, side_by_side
from gmm_dask.chunked.sources.columns import join_columns
from gmm_dask.chunked.sources.dask_source import open_dask
from gmm_dask.chunked.sources.memory_source import open_memory
from gmm_dask.chunked.sources.protocol import DataError, Source, default_names


def is_labelled(source: object) -> bool:
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(source, xarray.DataArray | xarray.Dataset)


def open_labelled(source: Any, columns: Sequence[str] | None, name: str | None) -> Source:
    """A DataArray as a table, or variables of a Dataset as features."""
    if not hasattr(source, "data_vars"):
        return _open_array(source)
    if name is not None:
        return _open_array(_variable(source, name))
    chosen = list(columns) if columns is not None else [str(v) for v in source.data_vars]
    return _columns([_variable(source, one) for one in chosen])


def _variable(dataset: Any, name: str) -> Any:
    if name not in dataset:
        listed = ", ".join(str(v) for v in dataset.data_vars) or "none"
        raise DataError(f"the xarray Dataset has no variable {name!r}; its variables are {listed}")
    return dataset[name]


def _open_array(array: Any) -> Source:
    address = f"xarray {array.name!s}" if array.name is not None else "the xarray DataArray"
    data = _data(array)
    names = _names(array)
    return (
        open_memory(data, names, address)
        if isinstance(data, np.ndarray)
        else open_dask(data, names, address)
    )


def _data(array: Any) -> Any:
    """Its NumPy or Dask array; what is still on disk becomes a Dask array, unread."""
    if array.chunks is None and not array.variable._in_memory:
        array = array.chunk("auto")
    return array.data


def _names(array: Any) -> tuple[str, ...]:
    if array.ndim == 1:
        return (str(array.name),) if array.name is not None else default_names(1)
    if array.ndim == 2 and array.dims[1] in array.coords:
        return tuple(str(one) for one in array.coords[array.dims[1]].values)
    return default_names(array.shape[1] if array.ndim == 2 else 1)


def _columns(variables: list[Any]) -> Source:
    parts = [_open_array(variable) for variable in variables]
    joined = join_columns(parts, "the xarray Dataset")
    if not any(part.lazy for part in parts):
        return joined
    columns = [as_planned(_data(variable)) for variable in variables]
    return open_dask(side_by_side(columns), joined.names, joined.address)
