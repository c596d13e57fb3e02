"""Chunks decoded within bounds are those that Zarr decodes; what is larger is refused."""

import warnings
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec
from zarr.errors import ZarrUserWarning
from zarr.storage import MemoryStore

from gmm_dask import DataError, open_rows
from gmm_dask.chunked.borrowed.codecs import bounded, zstd_size
from gmm_dask.chunked.borrowed.zfp import zfp_size
from tests.faults.inputs.hostile import v3

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


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ("7a66700517000030000090ca05688b22", 4 * 2 * 8),
        ("7a667005f7ff00f0ff0090ca00000000", 4096 * 4096 * 8),
    ],
)
def test_the_header_of_zfp_says_what_becomes_of_it(head: str, size: int) -> None:
    """As zfp 1.0.1 wrote them, of arrays of so many bytes."""
    assert zfp_size(bytes.fromhex(head)) == size


ZFP = {"name": "numcodecs.zfpy", "configuration": {}}


def test_a_chunk_of_zfp_beyond_what_is_declared_is_not_unpacked(tmp_path: Path) -> None:
    content = bytes.fromhex("7a667005f7ff00f0ff0090ca") + bytes(131076)
    path = v3(tmp_path / "a.zarr", content, codecs=[ZFP])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)  # of codecs of numcodecs, once
        rows = open_rows(path)
    with pytest.raises(DataError, match="it would take 134217728 bytes or more, and its array"):
        rows.source.read(0, 4)
