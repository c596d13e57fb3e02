"""Object stores of which nothing is read that is larger than it may be.

An object says how long it is before any of it comes: metadata of gigabytes, or a chunk many times
what its array declares, are refused by then. Knows nothing of what is read.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import zarr
from zarr.storage import ObjectStore, StorePath

from gmm_dask.chunked.borrowed.codecs import bounded
from gmm_dask.chunked.sources.chunk_grid import most_stored
from gmm_dask.chunked.sources.protocol import DataError

METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
LARGEST_METADATA = 2**24
"""Bytes; they are read and parsed as a whole, before anything is known of them."""
NOTHING = FileNotFoundError, IsADirectoryError, NotADirectoryError
"""What a store says where a key is not."""


def swollen(name: str, size: int, most: int) -> DataError:
    return DataError(
        f"{name} takes {size} bytes, and at most {most} are read of such: write it again"
    )


class BoundedObjectStore(ObjectStore[Any]):  # type: ignore[misc]
    """The same for reading: of metadata so much at the most, and `most` of all else, if given."""

    def __init__(self, store: Any, *, read_only: bool = True, most: int | None = None) -> None:
        super().__init__(store, read_only=read_only)
        self.most = most

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        if byte_range is not None:
            self._check_range(byte_range)
            return await super().get(key, prototype, byte_range)
        import obstore

        try:
            answer = await obstore.get_async(self.store, key)
        except NOTHING:
            return None
        self._check(key, int(answer.meta["size"]))
        return prototype.buffer.from_bytes(await answer.bytes_async())

    def _check(self, key: str, size: int) -> None:
        if PurePosixPath(key).name in METADATA:
            if size > LARGEST_METADATA:
                raise swollen(key, size, LARGEST_METADATA)
        elif self.most is not None and size > self.most:
            raise _too_long(size, self.most)

    def _check_range(self, byte_range: Any) -> None:
        """Of a part, where a shard's index says how long it is."""
        size = getattr(byte_range, "end", 0) - getattr(byte_range, "start", 0)
        if self.most is not None and size > self.most:
            raise _too_long(size, self.most)


def _too_long(size: int, most: int) -> ValueError:
    return ValueError(f"it takes {size} bytes, and no such chunk more than {most}")


def within_bounds(array: zarr.Array[Any]) -> zarr.Array[Any]:
    """The same array, of which no chunk is read that is larger than such may be, nor decoded to
    more than it declares."""
    place = array.store_path
    if isinstance(place.store, BoundedObjectStore):
        place = StorePath(
            BoundedObjectStore(place.store.store, most=most_stored(array)), place.path
        )
    return bounded(array, place)
