"""Zarr and numcodecs: chunks decoded to no more bytes than their array declares.

Compressed data say how large they become, or go on for as long as they like; decoders believe it.
"""

from __future__ import annotations

import asyncio
import bz2
import copy
import lzma
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeAlias

import numcodecs  # type: ignore[import-untyped]
import numpy as np
import zarr
from numcodecs.abc import Codec as Numcodec  # type: ignore[import-untyped]
from zarr.abc.codec import ArrayBytesCodec, BytesBytesCodec
from zarr.codecs import ShardingCodec
from zarr.storage import MemoryStore, StorePath

from gmm_dask.chunked.borrowed.part import Borrowed, gone
from gmm_dask.chunked.borrowed.zfp import HEADER, zfp_size

Decode: TypeAlias = Callable[[Any, int], Any]
"""From content, and the most bytes that may come of it; ValueError where there are more."""

CHUNK, SMALL = 64, 1024
"""Bytes that packing may add to what it cannot make smaller: for each inner chunk, and at all."""
MOST_DICTIONARY = 2**28


# -- formats ------------------------------------------------------------------------------------


def _zstd(content: Any, most: int) -> Any:
    """A frame that does not say its size is decoded into room for as much as is declared."""
    size = zstd_size(bytes(content[:18]))
    if size is not None:
        _check(size, most)
        return numcodecs.Zstd().decode(content)
    return numcodecs.Zstd().decode(content, out=np.empty(most, np.uint8))


def zstd_size(head: bytes) -> int | None:
    """The content size in a frame's header (RFC 8878, 3.1.1.1); None where it is not there."""
    if head[:4] != b"\x28\xb5\x2f\xfd":
        raise ValueError("it is no zstd frame")
    described = head[4]
    flag, single, dictionary = described >> 6, described >> 5 & 1, described & 3
    length = (single, 2, 4, 8)[flag]
    if not length:
        return None
    first = 5 + (not single) + (0, 1, 2, 4)[dictionary]
    return int.from_bytes(head[first : first + length], "little") + 256 * (flag == 1)


def _blosc(content: Any, most: int) -> Any:
    _check(int.from_bytes(bytes(content[4:8]), "little"), most)
    return numcodecs.Blosc().decode(content)


def _lz4(content: Any, most: int) -> Any:
    _check(int.from_bytes(bytes(content[:4]), "little"), most)
    return numcodecs.LZ4().decode(content)


def _zfp(content: Any, most: int) -> Any:
    _check(zfp_size(bytes(content[:HEADER])), most)
    return numcodecs.get_codec({"id": "zfpy"}).decode(content)


def _streamed(begin: Callable[[], Any]) -> Decode:
    """Of stream upon stream, as far as they go, and one byte beyond the most that may be."""

    def decode(content: Any, most: int) -> bytes:
        left, parts, size = bytes(content), [], 0
        while left:
            stream = begin()
            parts.append(stream.decompress(left, most + 1 - size))
            size += len(parts[-1])
            _check(size, most)
            if not stream.eof:
                raise ValueError("it ends too early")
            left = stream.unused_data
        return parts[0] if len(parts) == 1 else b"".join(parts)

    return decode


def _check(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"it would take {size} bytes or more, and its array declares {most}")


_DECODE: dict[str, Decode] = {
    "zstd": _zstd,
    "blosc": _blosc,
    "lz4": _lz4,
    "zfpy": _zfp,
    "gzip": _streamed(lambda: zlib.decompressobj(zlib.MAX_WBITS | 16)),
    "zlib": _streamed(zlib.decompressobj),
    "bz2": _streamed(bz2.BZ2Decompressor),
}


def _decoding(name: str, codec: Any) -> Decode | None:
    """The bounded way for a codec of this name; None for what makes nothing larger."""
    if name != "lzma":
        return _DECODE.get(name)
    settings = codec.get_config()
    raw = settings.get("format") == lzma.FORMAT_RAW
    means = {"filters": settings.get("filters")} if raw else {"memlimit": MOST_DICTIONARY}
    form = lzma.FORMAT_RAW if raw else lzma.FORMAT_AUTO
    return _streamed(lambda: lzma.LZMADecompressor(form, **means))


# -- codecs of format 2 -------------------------------------------------------------------------


class BoundedNumcodec(Numcodec):  # type: ignore[misc]
    """A codec of numcodecs that decodes to so many bytes at most."""

    codec_id = "bounded"  # each has that of its codec; Zarr asks the class for one

    def __init__(self, codec: Any, most: int) -> None:
        self.codec_id, self.codec, self.most = codec.codec_id, codec, most

    def decode(self, buf: Any, out: Any = None) -> Any:
        decode = _decoding(self.codec_id, self.codec)
        assert decode is not None
        decoded = decode(memoryview(buf).cast("B"), self.most)
        return decoded if out is None else numcodecs.compat.ndarray_copy(decoded, out)

    def encode(self, buf: Any) -> Any:
        return self.codec.encode(buf)

    def get_config(self) -> dict[str, Any]:
        settings: dict[str, Any] = self.codec.get_config()
        return settings


def _of_format_2(metadata: Any) -> dict[str, Any]:
    itemsize = metadata.dtype.to_native_dtype().itemsize
    filters = metadata.filters or ()
    # What filters take may be wider than what is declared.
    most = prod(metadata.chunks) * (max(itemsize, 8) if filters else itemsize)
    most += SMALL if filters else 0

    def held(codec: Any) -> Any:
        known = codec is not None and _decoding(codec.codec_id, codec)
        return BoundedNumcodec(codec, most) if known else codec

    kept = tuple(map(held, filters)) if metadata.filters else metadata.filters
    return {"compressor": held(metadata.compressor), "filters": kept}


# -- codecs of format 3 -------------------------------------------------------------------------


class Wrapping:
    """A codec of Zarr's around another, which says all of it but how a chunk is decoded."""

    codec: Any
    is_fixed_size = False

    def to_dict(self) -> Any:
        return self.codec.to_dict()

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        size: int = self.codec.compute_encoded_size(input_byte_length, chunk_spec)
        return size

    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        raise NotImplementedError

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        return await asyncio.to_thread(self._decode_sync, chunk_bytes, chunk_spec)

    async def _encode_single(self, chunk: Any, chunk_spec: Any) -> Any:
        return await self.codec._encode_single(chunk, chunk_spec)


@dataclass(frozen=True)
class Bounded(Wrapping, BytesBytesCodec):  # type: ignore[misc]
    """A codec of Zarr's that decodes to no more than the codecs below it make of a chunk."""

    codec: Any
    name: str
    below: tuple[Any, ...]

    def most(self, spec: Any) -> int:
        """Bytes of a chunk as the next codec takes it."""
        size: int = prod(spec.shape) * spec.dtype.to_native_dtype().itemsize
        for codec in self.below:
            if isinstance(codec, ShardingCodec):
                chunks = prod(spec.shape) // max(1, prod(codec.chunk_shape))
                size += size // CHUNK + CHUNK * chunks + SMALL
            elif getattr(codec, "is_fixed_size", False):
                size = codec.compute_encoded_size(size, spec)
            else:
                size += size // CHUNK + SMALL
        return size

    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        decode = _decoding(self.name, getattr(self.codec, "_codec", None))
        assert decode is not None
        content = memoryview(chunk_bytes.as_numpy_array()).cast("B")
        decoded = decode(content, self.most(chunk_spec))
        return chunk_spec.prototype.buffer.from_array_like(np.frombuffer(decoded, np.uint8))


@dataclass(frozen=True)
class BoundedZfp(Wrapping, ArrayBytesCodec):  # type: ignore[misc]
    """zfp in format 3, where it makes bytes of a chunk as it is."""

    codec: Any

    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        head = memoryview(chunk_bytes.as_numpy_array()).cast("B")[:HEADER]
        declared = prod(chunk_spec.shape) * chunk_spec.dtype.to_native_dtype().itemsize
        _check(zfp_size(bytes(head)), declared)
        return self.codec._decode_sync(chunk_bytes, chunk_spec)


def _of_format_3(codecs: Sequence[Any]) -> tuple[Any, ...]:
    """The same codecs, those that decompress bounded, also within shards."""
    made: list[Any] = []
    below: tuple[Any, ...] = ()
    for codec in codecs:
        if isinstance(codec, ShardingCodec):
            codec = replace(codec, codecs=_of_format_3(codec.codecs))
        if isinstance(codec, ArrayBytesCodec) and codec.to_dict().get("name") == "numcodecs.zfpy":
            codec = BoundedZfp(codec)
        name = _name(codec)
        known = name and _decoding(name, getattr(codec, "_codec", None))
        made.append(Bounded(codec, name, below) if known else codec)
        below = (*below, codec) if isinstance(codec, BytesBytesCodec | ShardingCodec) else below
    return tuple(made)


def _name(codec: Any) -> str:
    """Of a codec from bytes to bytes, as format 2 has it; nothing for others."""
    if not isinstance(codec, BytesBytesCodec) or isinstance(codec, Bounded):
        return ""
    metadata = codec.to_dict()
    return str(metadata.get("name", "")).removeprefix("numcodecs.")


# -- arrays -------------------------------------------------------------------------------------


def bounded(array: zarr.Array[Any], place: StorePath | None = None) -> zarr.Array[Any]:
    """The same array, of which no chunk is decoded to more bytes than it declares; read from this
    place, if one is given."""
    try:
        return _bounded(array, place)
    except (AttributeError, ImportError, TypeError):
        if BOUNDED.problem() is not None:
            gone(BOUNDED)
            return array
        raise


def _bounded(array: Any, place: StorePath | None = None) -> Any:
    metadata = copy.copy(array.metadata)
    changed: dict[str, Any] = (
        {"codecs": _of_format_3(metadata.codecs)}
        if metadata.zarr_format == 3
        else _of_format_2(metadata)
    )
    for name, value in changed.items():
        object.__setattr__(metadata, name, value)
    place = place or array.store_path
    return zarr.Array(zarr.AsyncArray(metadata, place, array.async_array.config))


def _look_at_bounds() -> None:
    values = np.zeros(4000)
    for form in (2, 3):
        array = zarr.create_array(MemoryStore(), data=values, chunks=(2000,), zarr_format=form)
        held = _bounded(array)
        if not np.array_equal(held[...], values):
            raise ValueError("a chunk is decoded to other values")
        if "Bounded" not in repr(held.metadata):
            raise AttributeError("codecs cannot be exchanged")


BOUNDED = Borrowed(
    "zarr",
    "codecs of an opened array to exchange (AsyncArray, metadata.codecs, _decode_sync)",
    "a chunk made to harm may take much more memory than its array declares",
    _look_at_bounds,
)
PARTS = (BOUNDED,)
