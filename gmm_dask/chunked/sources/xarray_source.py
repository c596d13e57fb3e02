"""xarray objects, recognised without importing xarray: nobody has one who has not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from gmm_dask.chunked.borrowed.dask import as_planned, planned, side_by_side
from gmm_dask.chunked.sources.cells import Cells
from gmm_dask.chunked.sources.columns import join_columns
from gmm_dask.chunked.sources.dask_source import open_dask, refuse_other_blocks
from gmm_dask.chunked.sources.grid import Dims, Variable, roles
from gmm_dask.chunked.sources.memory_source import open_memory
from gmm_dask.chunked.sources.protocol import DataError, Source, default_names, real_dtype


def is_labelled(source: object) -> bool:
    xarray = sys.modules.get("xarray")
    kinds = () if xarray is None else (xarray.DataArray, xarray.Dataset, xarray.DataTree)
    return isinstance(source, kinds)


def open_labelled(source: Any, columns: Sequence[str] | None, name: str | None) -> Source:
    """A DataArray as a table, or variables of a Dataset as features."""
    chosen = chosen_variables(source, columns, name)
    for one in chosen:
        _refuse_grid(one, 2 if len(chosen) == 1 else 1)
    if name is not None or not hasattr(source, "data_vars"):
        return _open_array(chosen[0])
    return _columns(chosen)


def _refuse_grid(array: Any, most: int) -> None:
    if array.ndim > most:
        dims = ", ".join(map(str, array.dims))
        raise DataError(
            f"xarray {array.name} has {array.ndim} dimensions: say along which of {dims} rows lie, "
            'as in sample_dims=("time", "lat")'
        )


def chosen_variables(source: Any, columns: Sequence[str] | None, name: str | None) -> list[Any]:
    """A DataArray itself, or those of a Dataset that are asked for: all of its variables."""
    if not hasattr(source, "data_vars"):
        return [source]
    if name is not None:
        return [_variable(source, name)]
    asked = list(columns) if columns is not None else [str(v) for v in source.data_vars]
    if not asked:
        below = ", ".join(getattr(source, "children", ())) or "none"
        raise DataError(f"the xarray {type(source).__name__} has no variables; below it: {below}")
    return [_variable(source, one) for one in asked]


def open_grid(
    chosen: Sequence[Any], sample_dims: object, feature_dims: object
) -> tuple[Source, Cells]:
    """Labelled arrays on a grid as a table, and the cells that its rows are."""
    variables = [_described(one) for one in chosen]
    sample, across = roles(variables, sample_dims, feature_dims)
    arrays = _cut_alike([one.transpose(*sample, ...) for one in chosen], sample)
    for one, array in zip(variables, arrays, strict=True):
        real_dtype(array.dtype, f"xarray {one.name}")
    opening = {"columns": tuple(one.name for one in variables), "feature_dims": across}
    cells = Cells(sample, _chunks(arrays[0], sample), partial(_coords, chosen[0], sample), opening)
    names = tuple(name for one in variables for name in one.feature_names(sample))
    address = f"xarray {', '.join(one.name for one in variables)}".rstrip()
    blocks = [one.data for one in arrays]
    if isinstance(blocks[0], np.ndarray):
        tables = [block.reshape(prod(cells.shape), -1) for block in blocks]
        table = tables[0] if len(tables) == 1 else np.concatenate(tables, axis=1)
        return open_memory(table, names, address), cells
    for one, block in zip(variables, blocks, strict=True):
        refuse_other_blocks(block, f"xarray {one.name}")
    return open_dask(cells.rows_of([planned(one) for one in blocks]), names, address), cells


def open_cell_column(column: Any, beside: Any, cells: Cells, lazy: bool) -> Source:
    """One number for each cell: of a variable of the same grid, or of some of its dimensions."""
    array = _variable(beside, column) if isinstance(column, str) and is_labelled(beside) else column
    if not hasattr(array, "dims") or hasattr(array, "data_vars"):
        raise DataError(
            f"{type(column).__name__} has no names for its dimensions: for cells of a grid pass a "
            f"DataArray along {', '.join(cells.dims)}, or some of them"
        )
    address = f"xarray {array.name}"
    whole = _broadcast(_chunked(array), cells, address)
    if not lazy and whole.chunks is None:
        return open_memory(whole.values.reshape(-1), ("x0",), address)
    cut = whole.chunk(dict(zip(cells.dims, cells.chunks, strict=True)))
    return open_dask(cells.rows_of([planned(cut.data)]), ("x0",), address)


def _broadcast(array: Any, cells: Cells, address: str) -> Any:
    """Along all dimensions of cells; refuses others, and other coordinates."""
    if odd := [str(dim) for dim in array.dims if dim not in cells.dims]:
        raise DataError(f"{address} has dimension {odd[0]!r}, which cells have not")
    sizes = dict(zip(cells.dims, cells.shape, strict=True))
    known = cells.coords.to_dataset().drop_vars([v for v in cells.coords if v not in sizes])
    try:
        (array, _) = sys.modules["xarray"].align(array, known, join="exact", copy=False)
        return array.expand_dims({d: n for d, n in sizes.items() if d not in array.dims}).transpose(
            *cells.dims
        )
    except ValueError as problem:
        raise DataError(f"{address} is not on the grid of the cells: {problem}") from None


def cells_of_table(array: Any) -> Cells:
    """Of a plain table, or of one of its columns: its rows lie along its first dimension."""
    sample = (str(array.dims[0]),)
    return Cells(sample, _chunks(_chunked(array), sample), partial(_coords, array, sample))


def _described(array: Any) -> Variable:
    dims = tuple(map(str, array.dims))
    labels = {dim: array.coords[dim].values for dim in dims if dim in array.coords}
    return Variable("" if array.name is None else str(array.name), dims, array, labels)


def _cut_alike(arrays: Sequence[Any], sample: Dims) -> list[Any]:
    """All in memory, or all in Dask's chunks: the same along samples, and whole along features."""
    arrays = [_chunked(one) for one in arrays]
    if all(one.chunks is None for one in arrays):
        return list(arrays)
    whole = [one.chunk({dim: -1 for dim in one.dims if dim not in sample}) for one in arrays]
    return list(sys.modules["xarray"].unify_chunks(*whole))


def _chunks(array: Any, sample: Dims) -> tuple[tuple[int, ...], ...]:
    if array.chunks is None:
        return tuple((int(array.sizes[dim]),) for dim in sample)
    return tuple(tuple(map(int, array.chunksizes[dim])) for dim in sample)


def _coords(array: Any, sample: Dims) -> Any:
    """The coordinates that cells have, whatever their features."""
    dataset = array.coords.to_dataset()
    return dataset.drop_dims([dim for dim in dataset.dims if dim not in sample]).coords


def _variable(dataset: Any, name: str) -> Any:
    if name not in dataset:
        listed = ", ".join(str(v) for v in dataset.data_vars) or "none"
        raise DataError(f"the xarray Dataset has no variable {name!r}; its variables are {listed}")
    return dataset[name]


def _open_array(array: Any) -> Source:
    address = f"xarray {array.name!s}" if array.name is not None else "the xarray DataArray"
    data = _chunked(array).data
    names = _names(array)
    return (
        open_memory(data, names, address)
        if isinstance(data, np.ndarray)
        else open_dask(data, names, address)
    )


def _chunked(array: Any) -> Any:
    """The same, in memory or in chunks: what is still on disk is left there, unread."""
    on_disk = array.chunks is None and not array.variable._in_memory
    return array.chunk("auto") if on_disk else array


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
    columns = [as_planned(_chunked(variable).data) for variable in variables]
    return open_dask(side_by_side(columns), joined.names, joined.address)
