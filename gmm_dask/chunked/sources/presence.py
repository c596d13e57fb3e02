"""Whether the stored objects behind an array are there at all.

Zarr reads an absent chunk as its fill value without a word, so a lost file looks like data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import ceil, prod
from typing import Any

import numpy as np
from zarr.abc.store import RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

AT_ONCE = 32
ABSENT = np.uint64(2**64 - 1)


def chunk_key(array: Any, coordinates: tuple[int, ...]) -> str:
    """The key of a stored object inside its store, array path included."""
    path = array.store_path.path
    key = str(array.metadata.encode_chunk_key(coordinates))
    return f"{path}/{key}" if path else key


def absent_chunk(array: Any, coordinates: Sequence[tuple[int, ...]]) -> str | None:
    """The key of the first of these objects, or of a chunk inside a shard, that is not there."""
    found: list[str | None] = sync(_look(array, coordinates))
    return next((key for key in found if key is not None), None)


async def _look(array: Any, coordinates: Sequence[tuple[int, ...]]) -> list[str | None]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(position: tuple[int, ...]) -> str | None:
        async with gate:
            key = chunk_key(array, position)
            if array.shards:
                return await _absent_inside(array, position, key)
            return None if await array.store_path.store.exists(key) else key

    return list(await asyncio.gather(*(one(position) for position in coordinates)))


async def _absent_inside(array: Any, position: tuple[int, ...], key: str) -> str | None:
    """Read a shard's index alone: (offset, length) per inner chunk, all ones where absent."""
    store = array.store_path.store
    inner = [s // c for s, c in zip(array.shards, array.chunks, strict=True)]
    codec = array.metadata.codecs[0]
    size = 16 * prod(inner) + (4 if len(codec.index_codecs) > 1 else 0)
    at_end = codec.index_location.value == "end"
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
    expected = np.ix_(*(np.arange(n) for n in _within(array, position, inner)))
    missing = np.argwhere(~present[expected])
    if not len(missing):
        return None
    return f"{key} (inner chunk {'/'.join(str(i) for i in missing[0])})"


def _within(array: Any, position: tuple[int, ...], inner: Sequence[int]) -> list[int]:
    """How many inner chunks per axis the array reaches into; the last shard is often ragged."""
    left = (
        size - at * shard
        for size, at, shard in zip(array.shape, position, array.shards, strict=True)
    )
    return [
        min(count, ceil(rest / chunk))
        for count, rest, chunk in zip(inner, left, array.chunks, strict=True)
    ]
