"""Which arrays of a Zarr group are variables of a grid, and which its coordinates, as xarray and
netCDF's conventions (CF) keep them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from math import prod
from typing import Any

import numpy as np
import zarr
from zarr.storage import ZipStore

from gmm_dask.chunked.sources.cells import Cells
from gmm_dask.chunked.sources.cf_packing import Packing
from gmm_dask.chunked.sources.grid import Dims, Variable, roles
from gmm_dask.chunked.sources.protocol import MOST_CHUNKS, DataError, Source
from gmm_dask.chunked.sources.stores import check_members
from gmm_dask.chunked.sources.zarr_grid import GridArray, GridSource

BESIDE = ("coordinates", "bounds", "grid_mapping", "ancillary_variables")
"""Attributes in which CF names arrays that belong to others."""


def open_stored_grid(
    group: zarr.Group | None,
    arrays: Mapping[str, Any],
    address: str,
    names: Sequence[str] | None,
    sample_dims: object,
    feature_dims: object,
) -> tuple[Source, Cells]:
    """Arrays of a group, or one by itself, as a table, and the cells that its rows are."""
    names = names or data_variables(group, arrays, address)
    chosen = [_array(arrays, name, address) for name in names]
    parts = tuple(grid_array(one, f"{address}/{name}") for name, one in chosen)
    labels: dict[str, Any] = {}
    variables = [Variable(name, dims_of(one), one, labels) for name, one in chosen]
    sample, across = roles(variables, sample_dims, feature_dims)
    _check_lengths(variables)
    labels |= {dim: _labels(arrays[dim], dim) for dim in across if dim in arrays}
    opening = {"columns": tuple(name for name, _ in chosen), "feature_dims": across}
    cells = Cells(sample, _chunks(parts, sample), partial(stored_coords, group, sample), opening)
    named = tuple(name for one in variables for name in one.feature_names(sample))
    bare = Cells(cells.dims, cells.chunks)
    return GridSource(parts, bare, named, tuple(range(len(named))), address), cells


def open_stored_column(arrays: Mapping[str, Any], address: str, name: str, cells: Cells) -> Source:
    """An array along some dimensions of cells, one number for each of them."""
    _, array = _array(arrays, name, address)
    part = grid_array(array, f"{address}/{name}")
    if odd := [dim for dim in part.dims if dim not in cells.dims]:
        raise DataError(f"{part.address} has dimension {odd[0]!r}, which cells have not")
    return GridSource((part,), Cells(cells.dims, cells.chunks), (name,), (0,), part.address)


def grid_array(array: zarr.Array[Any], address: str) -> GridArray:
    """One of them, if it holds numbers and declares no more than there can be."""
    if isinstance(store := array.store_path.store, ZipStore):
        check_members(store.path, array)
    return GridArray.of(array, dims_of(array), address)


def dims_of(array: zarr.Array[Any]) -> Dims:
    """The names of its dimensions; none where it has none."""
    names = getattr(array.metadata, "dimension_names", None)
    names = names or _attributes(array).get("_ARRAY_DIMENSIONS")
    return tuple(map(str, names)) if names is not None and len(names) == array.ndim else ()


def data_variables(group: zarr.Group | None, arrays: Mapping[str, Any], address: str) -> list[str]:
    """The arrays that are neither coordinates nor belong to others, by name."""
    dims = {name: dims_of(one) for name, one in arrays.items()}
    beside = {dim for one in dims.values() for dim in one}
    for node in (*arrays.values(), *([] if group is None else [group])):
        told = (_attributes(node).get(name) for name in BESIDE)
        beside |= {name for one in told if isinstance(one, str) for name in one.split()}
    found = [name for name in arrays if dims[name] and name not in beside]
    if not found:
        raise DataError(
            f"{address} has no arrays with names for their dimensions: write it with "
            "xarray, or set dimension_names"
        )
    return found


def stored_coords(group: zarr.Group | None, sample: Dims) -> Any:
    """The coordinates that cells have, by xarray; None where it is not installed."""
    try:
        xarray = import_module("xarray")
    except ModuleNotFoundError:
        return None
    if group is None:
        return xarray.Coordinates()
    store = group.store_path
    opened = xarray.open_zarr(store.store, group=store.path, consolidated=False, chunks=None)
    return opened.drop_dims([dim for dim in opened.dims if dim not in sample]).coords


def _array(arrays: Mapping[str, Any], name: str, address: str) -> tuple[str, Any]:
    if name not in arrays:
        raise DataError(f"{address} has no array {name!r}; its arrays are {', '.join(arrays)}")
    if not dims_of(arrays[name]):
        raise DataError(f"{address}/{name} has no names for its dimensions: set dimension_names")
    return name, arrays[name]


def _check_lengths(variables: Sequence[Variable]) -> None:
    first: dict[str, tuple[str, int]] = {}
    for one in variables:
        for dim, length in zip(one.dims, one.values.shape, strict=True):
            name, known = first.setdefault(dim, (one.name, length))
            if length != known:
                raise DataError(
                    f"along {dim!r}, {name} has {known} and {one.name} {length}: they are no grid"
                )


def _labels(array: zarr.Array[Any], address: str) -> Any:
    packing = Packing.of(array, address) if np.dtype(array.dtype).kind in "iuf" else None
    return array[...] if packing is None else packing.decode(array[...])


def _chunks(parts: Sequence[GridArray], sample: Dims) -> tuple[tuple[int, ...], ...]:
    """Along each dimension those of the array that is cut least: others are read in several."""
    axes = [
        max((part.axes[part.dims.index(dim)] for part in parts), key=lambda one: one.step)
        for dim in sample
    ]
    if (count := prod(-(-one.length // one.step) for one in axes)) > MOST_CHUNKS:
        raise DataError(
            f"{parts[0].address} declares {count} chunks along {', '.join(sample)}, beyond "
            f"{MOST_CHUNKS}: store it in larger chunks"
        )
    return tuple(tuple(map(int, np.diff(one.boundaries()))) for one in axes)


def _attributes(node: Any) -> Mapping[str, Any]:
    attributes = node.metadata.attributes  # whatever JSON there was
    return attributes if isinstance(attributes, Mapping) else {}
