"""Whether the stored objects behind an array are there at all.

Zarr reads an absent chunk as its fill value without a word, so a lost file looks like data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from math import ceil, prod
from typing import Any

import numpy as np
from zarr.abc.store import RangeByteRequest, SuffixByteRequest
from zarr.buffer import default_buffer_prototype

from gmm_dask.chunked.borrowed.zarr import awaited
from gmm_dask.chunked.sources.chunk_grid import (
    Axis,
    axes_of,
    sharding_of,
)

AT_ONCE = 32
ABSENT = np.uint64(2**64 - 1)


def chunk_key(array: Any, coordinates: tuple[int, ...]) -> str:
    """The key of a stored object inside its store, array path included."""
    path = array.store_path.path
    key = str(array.metadata.encode_chunk_key(coordinates))
    return f"{path}/{key}" if path else key


def absent_chunk(array: Any, coordinates: Sequence[tuple[int, ...]]) -> str | None:
    """The key of the first of these objects, or of a chunk inside a shard, that is not there."""
    absent: list[str | None] = awaited(_look(array, coordinates))
    return next((key for key in absent if key is not None), None)


async def _look(array: Any, coordinates: Sequence[tuple[int, ...]]) -> list[str | None]:
    gate = asyncio.Semaphore(AT_ONCE)
    axes, sharding = axes_of(array), sharding_of(array)

    async def one(position: tuple[int, ...]) -> str | None:
        async with gate:
            key = chunk_key(array, position)
            if sharding is not None:
                return await _absent_inside(array, axes, position, key, sharding)
            return None if await array.store_path.store.exists(key) else key

    return list(await asyncio.gather(*(one(position) for position in coordinates)))


async def _absent_inside(
    array: Any,
    axes: Sequence[Axis],
    position: tuple[int, ...],
    key: str,
    sharding: Mapping[str, Any],
) -> str | None:
    """Read a shard's index alone: (offset, length) per inner chunk, all ones where absent."""
    store, chunk = array.store_path.store, sharding["chunk_shape"]
    inner = [a.declared(i) // c for a, i, c in zip(axes, position, chunk, strict=True)]
    size = _index_bytes(prod(inner), sharding)
    if size is None:
        return None if await store.exists(key) else key
    at_end = sharding.get("index_location", "end") == "end"
    request = SuffixByteRequest(size) if at_end else RangeByteRequest(0, size)
    stored = await store.get(key, default_buffer_prototype(), request)
    if stored is None:
        return key
    content = stored.to_bytes()[: 16 * prod(inner)]
    if not content:
        return f"{key} (its file is empty)"  # which Zarr reads as fill values
    if len(content) < 16 * prod(inner):
        return None  # truncated: reading it says so, and better
    present = np.frombuffer(content, "<u8").reshape(*inner, 2)[..., 0] != ABSENT
    reached = (_reached(a, i, c) for a, i, c in zip(axes, position, chunk, strict=True))
    missing = np.argwhere(~present[np.ix_(*map(np.arange, reached))])
    if not len(missing):
        return None
    return f"{key} (inner chunk {'/'.join(str(i) for i in missing[0])})"


def _index_bytes(chunks: int, sharding: Mapping[str, Any]) -> int | None:
    """How long an index is; None where it is not as Zarr writes it, so that it is not looked at."""
    codecs = [codec["name"] for codec in sharding.get("index_codecs", ())]
    little = sharding["index_codecs"][0].get("configuration", {}).get("endian") == "little"
    checked = {("bytes",): 0, ("bytes", "crc32c"): 4}.get(tuple(codecs))
    return None if checked is None or not little else 16 * chunks + checked


def _reached(axis: Axis, number: int, chunk: int) -> int:
    """How many inner chunks of a shard the array reaches into; the last shard is often ragged."""
    shard = min(axis.declared(number), axis.length - axis.start(number))
    return ceil(shard / chunk)
