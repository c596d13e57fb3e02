"""Chunks decoded within bounds are those that Zarr decodes; what is larger is refused."""

import warnings
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec
from zarr.errors import ZarrUserWarning
from zarr.storage import MemoryStore

from gmm_dask.chunked.borrowed.codecs import bounded, zstd_size

VALUES = np.random.default_rng(0).normal(size=(1000, 3)).round(2)
LAYOUTS: list[dict[str, Any]] = [
    {"compressors": None},
    {"compressors": ZstdCodec()},
    {"compressors": BloscCodec()},
    {"compressors": GzipCodec()},
    {"compressors": [ZstdCodec(), Crc32cCodec()]},
    {"compressors": [Crc32cCodec(), ZstdCodec()]},
    {"compressors": [BloscCodec(), GzipCodec()]},
    {"compressors": ZstdCodec(), "filters": TransposeCodec(order=(1, 0))},
    {"compressors": ZstdCodec(), "shards": (500, 3)},
    *(
        {"compressors": {"name": f"numcodecs.{name}", "configuration": {}}}
        for name in ("zlib", "lz4", "bz2", "lzma", "zstd")
    ),
    *(
        {"compressors": getattr(numcodecs, name)(), "zarr_format": 2}
        for name in ("Zstd", "Blosc", "GZip", "Zlib", "BZ2", "LZMA", "LZ4")
    ),
    {
        "compressors": numcodecs.LZMA(preset=3),
        "filters": [numcodecs.FixedScaleOffset(0, 100, "<f8", "<i4")],
        "zarr_format": 2,
    },
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_values_are_the_same(layout: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)  # not all codecs are in format 3
        array = zarr.create_array(MemoryStore(), data=VALUES, chunks=(100, 3), **layout)
        held = bounded(array)
    assert np.array_equal(held[...], array[...])
    assert ("Bounded" in repr(held.metadata)) == (layout["compressors"] is not None)
    assert held.metadata.to_dict() == array.metadata.to_dict()


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_791, 65_792, 10**6])
def test_the_size_of_a_frame_is_read_from_its_header(size: int) -> None:
    assert zstd_size(numcodecs.Zstd().encode(bytes(size))[:18]) == size
