"""Any argument that a person may pass for data, to a source."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from gmm_dask.chunked.sources.cells import Cells
from gmm_dask.chunked.sources.columns import join_columns
from gmm_dask.chunked.sources.dask_source import open_dask
from gmm_dask.chunked.sources.frame_source import (
    is_dask_frame,
    open_frame,
)
from gmm_dask.chunked.sources.memory_source import open_memory
from gmm_dask.chunked.sources.protocol import DataError, Source, default_names, told_briefly
from gmm_dask.chunked.sources.stored_grid import open_stored_column, open_stored_grid
from gmm_dask.chunked.sources.stores import (
    choose_member,
    group_arrays,
    group_member,
    open_member,
    open_node,
    open_zarr_array,
)
from gmm_dask.chunked.sources.xarray_source import (
    cells_of_table,
    chosen_variables,
    is_labelled,
    open_cell_column,
    open_grid,
    open_labelled,
)
from gmm_dask.store.addresses import AddressError, is_url, path_of

LONGEST_HEADER = 2**16


@dataclass(frozen=True, eq=False)
class OpenSource:
    """What a person passes for data, opened: once, for the rows and for what lies beside them."""

    opened: Any
    address: str

    @cached_property
    def tables(self) -> dict[str, Any]:
        """The 2-D arrays of a group, by their names."""
        if not isinstance(self.opened, zarr.Group):
            return {}
        return {name: one for name, one in group_arrays(self.opened).items() if one.ndim == 2}


def open_source(source: object) -> OpenSource:
    """The array, the group, or whatever it is, and what to call it."""
    return OpenSource(*_resolve(source))


def only_table(source: OpenSource) -> str | None:
    """The one 2-D array of a group; None where it has several, or is no group."""
    return next(iter(source.tables)) if len(source.tables) == 1 else None


def open_table(source: object, array: str | None, columns: Sequence[str] | None) -> Source:
    """The features: `array` names one array of a group, `columns` several 1-D ones."""
    _refuse_both(array, columns)
    if is_labelled(source):
        return open_labelled(source, columns, array)
    opened, address = _resolve(source)
    known = vars(source).get("tables", {}) if isinstance(source, OpenSource) else {}
    if array is not None and array in known:
        return open_member(known[array], array, address)
    if isinstance(opened, zarr.Group):
        return _from_group(opened, address, array, columns)
    if array is not None or columns is not None:
        raise DataError(f"{address} is one array: array= and columns= choose within a Zarr group")
    return _from_array(opened, address)


def open_features(
    source: object,
    array: str | None,
    columns: Sequence[str] | None,
    sample_dims: object = None,
    feature_dims: object = None,
) -> tuple[Source, Cells | None]:
    """The features, and the cells that rows are where dimensions have names."""
    if sample_dims is not None or feature_dims is not None:
        _refuse_both(array, columns)
        if is_labelled(source):
            return open_grid(chosen_variables(source, columns, array), sample_dims, feature_dims)
        names = columns if array is None else [array]
        return open_stored_grid(*_named_arrays(source), names, sample_dims, feature_dims)
    table = open_table(source, array, columns)
    if not is_labelled(source):
        return table, None
    return table, cells_of_table(chosen_variables(source, columns, array)[0])


def has_names(source: object) -> bool:
    """Whether it has variables with names for their dimensions."""
    return is_labelled(source) or isinstance(_resolve(source)[0], zarr.Group)


def _named_arrays(source: object) -> tuple[Any, dict[str, Any], str]:
    """What is opened, the arrays that it has by name, and what to call it."""
    opened, address = _resolve(source)
    if isinstance(opened, zarr.Group):
        return opened, group_arrays(opened), address
    if isinstance(opened, zarr.Array):
        name = opened.basename or address.rsplit("/", 1)[-1]
        return None, {name: opened}, address.removesuffix(f"/{name}")
    raise DataError(
        f"{address} has no names for its dimensions, which sample_dims= and feature_dims= choose "
        "among: pass an xarray object, or a Zarr group"
    )


def _refuse_both(array: str | None, columns: Sequence[str] | None) -> None:
    if array is not None and columns is not None:
        raise DataError("pass either array= or columns=, not both")


def open_column(
    column: object, beside: object, cells: Cells | None = None, lazy: bool = False
) -> Source:
    """Weights: the name of an array beside the features, or a 1-D source of its own; of cells of a
    grid, what lies along some of their dimensions."""
    if cells is not None and cells.gridded:
        if is_labelled(beside) or not isinstance(column, str):
            return open_cell_column(column, beside, cells, lazy)
        _, arrays, address = _named_arrays(beside)
        return open_stored_column(arrays, address, column, cells)
    if isinstance(column, str) and is_labelled(beside):
        weights = open_labelled(beside, None, column)
    elif isinstance(column, str) and not is_url(column):
        weights = _neighbour(column, beside)
    else:
        weights = open_table(column, None, None)
    if weights.shape[1] != 1:
        raise DataError(
            f"weights {weights.address} have {weights.shape[1]} columns; pass one weight per row"
        )
    return weights


def _neighbour(name: str, beside: object) -> Source:
    opened, address = _resolve(beside)
    if isinstance(opened, zarr.Group):
        return group_member(opened, name, address)
    return open_table(name, None, None)


def _resolve(source: object) -> tuple[Any, str]:
    """The opened thing and what to call it."""
    if isinstance(source, OpenSource):
        return source.opened, source.address
    if isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        if str(text).endswith(".npy"):
            return mapped_array(str(text)), str(text)
        address = str(text) if is_url(str(text)) else os.path.abspath(os.path.expanduser(text))
        return open_node(str(text)), str(address).rstrip("/")
    if isinstance(source, zarr.Group):
        return source, str(source.store_path)
    return source, type(source).__name__


def mapped_array(address: str) -> np.ndarray[Any, Any]:
    """An .npy file, mapped; whatever else it holds is refused."""
    try:
        path = path_of(address)
    except AddressError as problem:
        raise DataError(str(problem)) from None
    if path is None:
        raise DataError(
            f"{address} is a URL, and .npy files are mapped: pass a path, or a Zarr store"
        )
    try:
        _check_header(path)
        with np.errstate(over="ignore"):  # of the product of a declared shape: refused as too big
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as problem:  # whatever NumPy makes of a header that is none
        raise DataError(f"{address} cannot be opened: {told_briefly(problem)}") from problem
    if not isinstance(mapped, np.ndarray):
        mapped.close()
        raise DataError(
            f"{address} is an archive of arrays, no .npy file; store its table by itself"
        )
    return mapped


def _check_header(path: Path) -> None:
    """NumPy takes room for as long a header as is declared, up to 4 GiB, before it reads it."""
    with open(path, "rb") as file:
        begin = file.read(12)
    if begin[:6] == b"\x93NUMPY" and begin[6:7] > b"\1":
        length = int.from_bytes(begin[8:12], "little")
        if length > LONGEST_HEADER:
            raise ValueError(f"its header declares {length} bytes")


def _from_group(
    group: zarr.Group, address: str, array: str | None, columns: Sequence[str] | None
) -> Source:
    if array is not None:
        return group_member(group, array, address)
    if columns is None:
        raise choose_member(group, address)
    return join_columns([group_member(group, name, address) for name in columns], address)


def _from_array(opened: Any, address: str) -> Source:
    if isinstance(opened, zarr.Array):
        return open_zarr_array(opened, None if address == "Array" else address)
    dask_array = sys.modules.get("dask.array")
    if dask_array is not None and isinstance(opened, dask_array.Array):
        return open_dask(opened, None, None)
    if is_dask_frame(opened):
        return open_frame(opened)
    values = opened if isinstance(opened, np.ndarray) else _as_array(opened, address)
    names = _column_names(opened) or default_names(values.shape[1] if values.ndim == 2 else 1)
    return open_memory(values, names, "the array" if address == "ndarray" else address)


def _column_names(table: Any) -> tuple[str, ...]:
    """Of pandas, Polars, … (`columns`) and of Arrow, whose `columns` are the values themselves."""
    schema = getattr(getattr(table, "schema", None), "names", None)
    names = schema if isinstance(schema, list) else getattr(table, "columns", None)
    return () if names is None else tuple(str(one) for one in names)


def _as_array(source: Any, address: str) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(source)
    except (TypeError, ValueError) as problem:
        raise DataError(
            f"{address} is not a source of rows ({problem}); pass a path or URL of a Zarr store, "
            "a Zarr, Dask, NumPy or xarray array"
        ) from None
