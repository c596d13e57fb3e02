"""Addresses to opened Zarr nodes: local paths, .zip files, object stores by URL."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import zarr
from zarr.errors import ContainsArrayAndGroupError, NodeNotFoundError, ZarrUserWarning
from zarr.storage import LocalStore, MemoryStore, ZipStore

from gmm_dask.chunked.sources.bounded_store import (
    LARGEST_METADATA,
    METADATA,
    BoundedObjectStore,
    swollen,
)
from gmm_dask.chunked.sources.chunk_grid import most_stored
from gmm_dask.chunked.sources.outages import patiently
from gmm_dask.chunked.sources.protocol import DataError, Source, told_briefly, unreached
from gmm_dask.chunked.sources.zarr_source import open_array
from gmm_dask.store.addresses import AddressError, open_store, path_of


def open_node(address: str) -> zarr.Array[Any] | zarr.Group:
    """The array or group at a path or URL, read-only."""
    store = _store_at(address)
    return patiently(lambda: _opened(store, address), address)


def _opened(store: Any, address: str) -> zarr.Array[Any] | zarr.Group:
    try:
        return zarr.open(store, mode="r")
    except (FileNotFoundError, NodeNotFoundError, KeyError):
        raise DataError(f"no Zarr array or group at {address}; check the address") from None
    except ContainsArrayAndGroupError as problem:
        raise DataError(f"{address} holds both an array and a group: {problem}") from problem
    except Exception as problem:
        raise unopened(address, problem) from problem


def unopened(address: str, problem: Exception) -> Exception:
    """Why a node cannot be opened: a store that does not answer may later; metadata will not."""
    if isinstance(problem, DataError):
        return problem
    reason = told_briefly(problem)
    if "rectilinear" in reason.lower():
        return DataError(
            f"{address} has chunks of unlike sizes (a rectilinear grid), which Zarr reads from 3.2 "
            "on, and only where ZARR_ARRAY__RECTILINEAR_CHUNKS=True is set, here and on workers"
        )
    return unreached(address, problem) or DataError(
        f"{address} cannot be opened: its metadata are no array or group that Zarr knows ({reason})"
    )


def _store_at(address: str) -> Any:
    """The store of a path or URL, read-only; it pickles as its address."""
    try:
        path = path_of(address)
        if path is None:
            return BoundedObjectStore(open_store(address))
    except AddressError as problem:
        raise DataError(str(problem)) from None
    return _local_store(path)


def _local_store(path: Path) -> Any:
    try:
        path = path.resolve()
        if not path.exists():
            raise DataError(f"nothing is stored at {path}; check the path")
        if path.suffix == ".zip" and path.is_file():
            check_archive(path)
            return ZipStore(path, mode="r", read_only=True)
        check_metadata(path)
        return LocalStore(path, read_only=True)
    except (OSError, RuntimeError, BadZipFile) as problem:
        # A name too long, links in a ring, closed to us, no archive.
        refusal = f"{path} cannot be opened: {told_briefly(problem)}"
        raise DataError(refusal) from None


def check_metadata(path: Path) -> None:
    """Metadata are read and parsed as a whole, before anything is known of them."""
    for name in METADATA:
        file = path / name
        if file.is_file() and (size := file.stat().st_size) > LARGEST_METADATA:
            raise swollen(str(file), size, LARGEST_METADATA)


def check_archive(path: Path) -> None:
    """Members are unpacked as a whole, too, and packed they may take a thousandth."""
    with ZipFile(path) as archive:
        for member in archive.infolist():
            name = f"{path}/{member.filename}"
            if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
                raise DataError(f"{name} is packed in a way that has no bound: store it unpacked")
            if Path(member.filename).name in METADATA and member.file_size > LARGEST_METADATA:
                raise swollen(name, member.file_size, LARGEST_METADATA)


def check_members(path: Path, array: zarr.Array[Any]) -> None:
    """The chunks of an array in an archive, against what it declares."""
    most = most_stored(array)
    within = f"{array.path}/" if array.path else ""
    with ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename.startswith(within) and member.file_size > most:
                raise swollen(f"{path}/{member.filename}", member.file_size, most)


def group_arrays(group: zarr.Group) -> dict[str, Any]:
    """The arrays of a group, in the order of their names."""
    address = str(group.store_path)

    def look() -> dict[str, Any]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ZarrUserWarning)  # of what else lies there
                return dict(sorted(group.arrays()))
        except Exception as problem:
            raise unopened(address, problem) from problem

    return patiently(look, address)


def group_member(group: zarr.Group, name: str, address: str) -> Source:
    """One array of a group, as a source whose single feature carries the array's name."""
    node = _node_of(group, name, address)
    if not isinstance(node, zarr.Array):
        raise DataError(
            f"{address} has no array {name!r}; its arrays are {_listed(group_arrays(group))}"
        )
    return open_member(node, name, address)


def open_member(node: zarr.Array[Any], name: str, address: str) -> Source:
    """The same of one that is open."""
    return open_zarr_array(node, f"{address}/{name}", name.rsplit("/", 1)[-1])


def _node_of(group: zarr.Group, name: str, address: str) -> Any:
    """What the group has by this name, None where it has nothing; no name leads out of it."""
    parts = str(name).replace("\\", "/").split("/")
    if not isinstance(name, str) or {"", ".", ".."} & {*parts} or "\0" in name:
        return None
    if isinstance(group.store_path.store, LocalStore):
        check_metadata(Path(group.store_path.store.root, group.path, name))

    def look() -> Any:
        try:
            return group.get(name)
        except Exception as problem:
            raise unopened(f"{address}/{name}", problem) from problem

    return patiently(look, f"{address}/{name}")


def choose_member(group: zarr.Group, address: str) -> DataError:
    listed = _listed(group_arrays(group))
    return DataError(
        f"{address} is a Zarr group: pass array= with one of its arrays, or columns= with "
        f"several 1-D ones; its arrays are {listed}"
    )


def _listed(names: Collection[str]) -> str:
    return ", ".join(names) if names else "none"


def open_zarr_array(
    array: zarr.Array[Any], address: str | None = None, name: str | None = None
) -> Source:
    """An opened array; one in a memory store is data in this process and is treated as such."""
    from gmm_dask.chunked.sources.memory_source import MemorySource

    address = address or str(array.store_path)
    source = open_array(array, address, name)
    if isinstance(store := array.store_path.store, ZipStore):
        check_members(store.path, array)
    if isinstance(array.store_path.store, MemoryStore):
        return MemorySource(source.unpacked(source.array[...]), source.names, address)
    return source
