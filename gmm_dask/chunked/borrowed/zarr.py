"""Zarr: codecs and stores that answer at once, and the event loop on which others are awaited."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import zarr
from zarr.buffer import default_buffer_prototype
from zarr.storage import LocalStore, MemoryStore

from gmm_dask.chunked.borrowed.part import Borrowed, gone

T = TypeVar("T")
Get: TypeAlias = Callable[[str], Any]
Decode: TypeAlias = Callable[[Any], Any]


def at_once(array: Any, most: int) -> tuple[Get, Decode] | None:
    """How the bytes of a key are had, and from them the values of a chunk, without awaiting.

    A file of more bytes than `most` is a ValueError, and not read.

    For arrays of format 3 in chunks of one shape; None where a store or a codec has to be awaited.
    """
    try:
        return _getting(array, most), _decoding(array)
    except (AttributeError, ImportError, TypeError):
        if AT_ONCE.problem() is not None:
            gone(AT_ONCE)
        return None


def awaited(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine of Zarr's stores returns, waited for in this thread."""
    try:
        from zarr.core.sync import sync
    except ImportError:
        gone(EVENT_LOOP)
        # In a thread of its own: this one may be running a loop, as notebooks do.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, coroutine).result()
    result: T = sync(coroutine)
    return result


def _getting(array: Any, most: int) -> Get:
    store, prototype = array.store_path.store, default_buffer_prototype()
    get, root = store.get_sync, getattr(store, "root", None)

    def getting(key: str) -> Any:
        # Beforehand, for a file without content may be of any length.
        if isinstance(root, Path) and (size := _length(f"{root}/{key}")) > most:
            raise ValueError(f"it takes {size} bytes, and no such chunk more than {most}")
        return get(key, prototype=prototype)

    return getting


def _length(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:  # which whoever reads it tells better
        return 0


def _decoding(array: Any) -> Decode:
    from zarr.core.array_spec import ArraySpec

    metadata = array.metadata
    spec: Any = ArraySpec(
        shape=array.chunks,
        dtype=metadata.dtype,
        fill_value=metadata.fill_value,
        config=array.config,
        prototype=default_buffer_prototype(),
    )
    steps: list[tuple[Callable[..., Any], Any]] = []
    for codec in metadata.codecs:
        steps.insert(0, (codec._decode_sync, spec))
        spec = codec.resolve_metadata(spec)

    def decode(content: Any) -> Any:
        for step, declared in steps:
            content = step(content, declared)
        return content.as_numpy_array()

    return decode


def _look_at_codecs() -> None:
    values = np.arange(6.0)
    array = zarr.create_array(MemoryStore(), data=values, chunks=(3,))
    get, decode = _getting(array, 2**20), _decoding(array)
    if not np.array_equal(decode(get("c/1")), values[3:]):
        raise ValueError("a chunk is decoded to other values")
    if not hasattr(LocalStore, "get_sync"):
        raise AttributeError("files are not read at once")


def _look_at_loop() -> None:
    from zarr.core.sync import sync

    sync(asyncio.sleep(0))


AT_ONCE = Borrowed(
    "zarr",
    "codecs that decode at once (ArraySpec, _decode_sync, get_sync)",
    "chunks of files are read through its event loop, which streams more slowly",
    _look_at_codecs,
)
EVENT_LOOP = Borrowed(
    "zarr",
    "event loop to wait on (zarr.core.sync.sync)",
    "absent chunks are looked for on a loop of one's own, which stores of fsspec may refuse",
    _look_at_loop,
)
PARTS = (AT_ONCE, EVENT_LOOP)
