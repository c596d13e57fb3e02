"""Addresses to opened Zarr nodes: local paths, .zip files, object stores by URL."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import zarr
from zarr.errors import ContainsArrayAndGroupError, NodeNotFoundError, ZarrUserWarning
from zarr.storage import LocalStore, MemoryStore, ObjectStore, ZipStore

from gmm_dask.chunked.sources.protocol import DataError, Source, told_briefly
from gmm_dask.chunked.sources.zarr_source import open_array


def is_url(address: str) -> bool:
    return "://" in address


def open_node(address: str) -> zarr.Array[Any] | zarr.Group:
    """The array or group at a path or URL, read-only."""
    store = _object_store(address) if is_url(address) else _local_store(address)
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
    told = told_briefly(problem)
    if type(problem).__module__.startswith("obstore"):
        return ConnectionError(f"{address} does not answer: {told}")
    return DataError(
        f"{address} cannot be opened: its metadata are no array or group that Zarr knows ({told})"
    )


def _local_store(address: str) -> Any:
    try:
        path = Path(address).expanduser().resolve()
        if not path.exists():
            raise DataError(f"nothing is stored at {path}; check the path")
        if path.suffix == ".zip" and path.is_file():
            return ZipStore(path, mode="r", read_only=True)
        return LocalStore(path, read_only=True)
    except (OSError, RuntimeError, ValueError) as problem:
        if isinstance(problem, DataError):
            raise
        # No such user's home, a name too long or with a NUL, a folder closed to us.
        raise DataError(f"the path cannot be followed: {told_briefly(problem)}") from None


def check_url(url: str) -> None:
    """Refuse secrets in an address: it is written into run folders, logs and dashboards."""
    parts = split_url(url)
    shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
    if parts.password is not None or parts.username is not None:
        raise DataError(
            f"the address {shown} carries a user or password; take it out and give credentials "
            "in the environment (AWS_ACCESS_KEY_ID, …) of client and workers"
        )
    if parts.query or parts.fragment:
        raise DataError(f"the address {shown} carries a query; pass the plain address")


def split_url(url: str) -> SplitResult:
    """The parts of a URL; one that has none is not repeated, for it may hold a password."""
    try:
        return urlsplit(url)
    except ValueError as problem:
        raise DataError(f"the address is no URL: {problem}") from None


def _object_store(url: str) -> Any:
    check_url(url)
    if url.startswith("file://"):
        return _local_store(urlsplit(url).path)
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise DataError(f"{url} needs the package obstore: install gmm-dask[s3]") from None
    # Plain http is allowed only where the environment's own endpoint asks for it.
    plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    options = {"client_options": {"allow_http": True}} if plain else {}
    try:
        return ObjectStore(from_url(url, **options), read_only=True)
    except (BaseError, ValueError) as problem:
        told = told_briefly(problem)
        raise DataError(f"{url} is not an address that obstore opens: {told}") from problem


def group_arrays(group: zarr.Group) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ZarrUserWarning)  # of what else lies there
            return sorted(name for name, _ in group.arrays())
    except Exception as problem:
        raise unopened(str(group.store_path), problem) from problem


def group_member(group: zarr.Group, name: str, address: str) -> Source:
    """One array of a group, as a source whose single feature carries the array's name."""
    node = _node_of(group, name, address)
    if not isinstance(node, zarr.Array):
        raise DataError(
            f"{address} has no array {name!r}; its arrays are {_listed(group_arrays(group))}"
        )
    return open_zarr_array(node, f"{address}/{name}", name.rsplit("/", 1)[-1])


def _node_of(group: zarr.Group, name: str, address: str) -> Any:
    """What the group has by this name, None where it has nothing; no name leads out of it."""
    parts = str(name).replace("\\", "/").split("/")
    if not isinstance(name, str) or {"", ".", ".."} & {*parts} or "\0" in name:
        return None
    try:
        return group.get(name)
    except Exception as problem:
        raise unopened(f"{address}/{name}", problem) from problem


def choose_member(group: zarr.Group, address: str) -> DataError:
    listed = _listed(group_arrays(group))
    return DataError(
        f"{address} is a Zarr group: pass array= with one of its arrays, or columns= with "
        f"several 1-D ones; its arrays are {listed}"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "none"


def open_zarr_array(
    array: zarr.Array[Any], address: str | None = None, name: str | None = None
) -> Source:
    """An opened array; one in a memory store is data in this process and is treated as such."""
    from gmm_dask.chunked.sources.memory import MemorySource

    address = address or str(array.store_path)
    source = open_array(array, address, name)
    if isinstance(array.store_path.store, MemoryStore):
        return MemorySource(array[...], source.names, address)
    return source
