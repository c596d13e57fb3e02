"""What is read past Zarr's own pipeline is what Zarr reads."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
import zarr.core.codec_pipeline
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec
from zarr.storage import LocalStore, MemoryStore, ObjectStore

from gmm_dask.chunked.rows import DataError, open_rows
from gmm_dask.chunked.sources.direct_chunks import DirectChunks

NEW_ZARR = hasattr(zarr.core.codec_pipeline, "FusedCodecPipeline")
SHAPE, CHUNKS = (103, 7), (20, 3)
CODECS: dict[str, dict[str, Any]] = {
    "as Zarr has it": {},
    "uncompressed": {"compressors": None},
    "zstd and a checksum": {"compressors": [ZstdCodec(level=3), Crc32cCodec()]},
    "blosc": {"compressors": [BloscCodec(cname="lz4")]},
    "gzip": {"compressors": [GzipCodec(level=1)]},
    "big-endian": {"serializer": BytesCodec(endian="big")},
    "transposed": {"filters": [TransposeCodec(order=(1, 0))]},
}


def stored(store: Any, dtype: str = "f8", **options: Any) -> zarr.Array[Any]:
    values = (1000 * np.random.default_rng(0).normal(size=SHAPE)).astype(dtype)
    return zarr.create_array(store, data=values, chunks=CHUNKS, **options)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", ">f8"])
@pytest.mark.parametrize("codecs", CODECS)
def test_every_codec_and_type(tmp_path: Path, codecs: str, dtype: str) -> None:
    array = stored(tmp_path / "a.zarr", dtype, **CODECS[codecs])
    direct = DirectChunks.of(array)
    assert direct is not None
    for rows in ((0, 103), (20, 40), (5, 61), (100, 103)):
        for columns in ((0, 7), (3, 6), (2, 4)):
            read = direct.read(rows, columns)
            wanted = array[slice(*rows), slice(*columns)]
            assert read is not None
            assert np.array_equal(read, wanted)
            assert read.flags.c_contiguous


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_any_part_of_any_grid(data: st.DataObject) -> None:
    sides = st.integers(1, 30)
    shape = data.draw(st.lists(sides, min_size=1, max_size=2))
    chunks = [data.draw(sides) for _ in shape]
    values = np.random.default_rng(1).normal(size=shape)
    array = zarr.create_array(MemoryStore(), data=values, chunks=chunks)
    ends = [sorted(data.draw(st.sets(st.integers(0, n), min_size=2, max_size=2))) for n in shape]
    direct = DirectChunks.of(array)
    assert direct is not None
    read = direct.read(*((first, last) for first, last in ends))
    assert read is not None
    assert np.array_equal(read, values[tuple(slice(*end) for end in ends)])


def test_what_has_to_be_awaited_is_left_to_zarr(tmp_path: Path) -> None:
    assert DirectChunks.of(stored(tmp_path / "shards.zarr", shards=(40, 3))) is None
    assert DirectChunks.of(stored(tmp_path / "two.zarr", zarr_format=2)) is None
    obstore = pytest.importorskip("obstore.store")
    objects = ObjectStore(obstore.MemoryStore())
    assert DirectChunks.of(stored(objects)) is None
    assert DirectChunks.of(stored(LocalStore(tmp_path / "plain.zarr"))) is not None


def test_a_pipeline_that_was_chosen_gives_the_same_rows(tmp_path: Path) -> None:
    """Zarr's opt-in pipeline, where this Zarr has it; its codecs are the same."""
    values = stored(tmp_path / "plain.zarr")[...]
    stored(tmp_path / "shards.zarr", shards=(40, 3))
    fused = "zarr.core.codec_pipeline.FusedCodecPipeline"
    with zarr.config.set({"codec_pipeline.path": fused} if NEW_ZARR else {}):
        for name in ("plain.zarr", "shards.zarr"):
            rows = open_rows(tmp_path / name)
            rows.verify(0)
            assert np.array_equal(rows.read(0)[0], values)


def test_an_absent_chunk_is_left_to_zarr(tmp_path: Path) -> None:
    array = stored(tmp_path / "a.zarr", fill_value=3.0)
    wanted = array[:20]
    (tmp_path / "a.zarr/c/2/1").unlink()
    direct = DirectChunks.of(array)
    assert direct is not None
    assert direct.read((0, 103), (0, 7)) is None
    assert np.array_equal(direct.read((0, 20), (0, 7)), wanted)
    rows = open_rows(tmp_path / "a.zarr", missing_chunks="fill", block_bytes=8)
    assert (rows.read(2)[0][:, 3:6] == 3.0).all()


def test_a_file_where_a_chunk_has_its_folder_is_left_to_zarr(tmp_path: Path) -> None:
    array = stored(tmp_path / "a.zarr")
    shutil.rmtree(tmp_path / "a.zarr/c/1")
    (tmp_path / "a.zarr/c/1").write_text("a note")
    direct = DirectChunks.of(array)
    assert direct is not None
    assert direct.read((0, SHAPE[0]), (0, SHAPE[1])) is None


@pytest.mark.parametrize("codecs", ["as Zarr has it", "uncompressed", "zstd and a checksum"])
def test_a_damaged_chunk_is_named(tmp_path: Path, codecs: str) -> None:
    stored(tmp_path / "a.zarr", **CODECS[codecs])
    chunk = tmp_path / "a.zarr/c/3/1"
    chunk.write_bytes(chunk.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"chunk .*c/3/1 .*is truncated or corrupt"):
        open_rows(tmp_path / "a.zarr").read(0)
