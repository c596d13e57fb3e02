"""Chunks of unlike sizes are read as any others, or refused in one sentence that says how to."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr

from gmm_dask.chunked.rows import DataError, open_rows
from gmm_dask.chunked.sources.chunk_grid import (
    Axis,
    axes_of,
    chunk_layout,
)
from gmm_dask.chunked.sources.protocol import MOST_CHUNKS
from gmm_dask.doctor import examine

VALUES = np.random.default_rng(3).normal(size=(23, 5))
KNOWN = tuple(int(part) for part in zarr.__version__.split(".")[:2]) >= (3, 2)
SWITCH = "ZARR_ARRAY__RECTILINEAR_CHUNKS"


def written(path: Path, down: Sequence[Any], across: Sequence[int], cuts: Sequence[int]) -> str:
    """VALUES in a rectilinear grid, byte by byte as the format has it; no Zarr takes part."""
    edges = [0, *np.cumsum(across)]
    for (i, rows), (j, columns) in product(enumerate(pairwise(cuts)), enumerate(pairwise(edges))):
        chunk = np.zeros((rows[1] - rows[0], columns[1] - columns[0]))
        part = VALUES[slice(*rows), slice(*columns)]
        chunk[: len(part)] = part
        (path / f"c/{i}").mkdir(parents=True, exist_ok=True)
        (path / f"c/{i}/{j}").write_bytes(chunk.astype("<f8").tobytes())
    sides = {"kind": "inline", "chunk_shapes": [list(down), list(across)]}
    metadata = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": VALUES.shape,
        "data_type": "float64",
        "chunk_grid": {"name": "rectilinear", "configuration": sides},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    }
    (path / "zarr.json").write_text(json.dumps(metadata))
    return str(path)


@pytest.fixture
def unlike(tmp_path: Path) -> str:
    """Chunks of 4, 8, 8 and 5 rows, the last beyond the array; of 2 and 3 features."""
    return written(tmp_path / "unlike.zarr", [4, [8, 2], 5], [2, 3], [0, 4, 12, 20, 25])


@pytest.fixture
def allowed() -> Iterator[None]:
    with zarr.config.set({"array.rectilinear_chunks": True}):
        yield


needs_new_zarr = pytest.mark.skipif(not KNOWN, reason="Zarr reads such arrays from 3.2 on")


@needs_new_zarr
@pytest.mark.usefixtures("allowed")
def test_chunks_of_unlike_sizes_are_read(unlike: str) -> None:
    rows = open_rows(unlike, block_bytes=8 * 5 * 4)
    assert rows.source.layouts()[0].tolist() == [0, 4, 12, 20, 23]
    read = np.concatenate([rows.read(i)[0] for i in range(len(rows))])
    assert np.array_equal(read, VALUES)
    part = open_rows(unlike, features=[4, 1], rows=slice(3, 22))
    read = np.concatenate([part.read(i)[0] for i in range(len(part))])
    assert np.array_equal(read, VALUES[3:22][:, [4, 1]])
    told = rows.fingerprint()["source"]
    assert isinstance(told, dict)
    assert told["chunks"] == [[4, [8, 2], 5], [2, 3]]
    assert json.dumps(told)


@needs_new_zarr
@pytest.mark.usefixtures("allowed")
def test_their_absent_and_damaged_chunks_are_named(unlike: str) -> None:
    rows = open_rows(unlike)
    Path(unlike, "c/2/1").unlink()
    with pytest.raises(DataError, match="chunk c/2/1 is not in the store"):
        rows.verify(0)
    assert rows.source.may_be_fill(0, np.where(np.arange(23)[:, None] >= 12, 0.0, VALUES))
    assert not rows.source.may_be_fill(0, VALUES)
    Path(unlike, "c/1/0").write_bytes(b"\0" * 7)
    with pytest.raises(DataError, match="chunk c/1/0 or c/1/1 is truncated or corrupt"):
        rows.source.read(0, 12)


@needs_new_zarr
@pytest.mark.usefixtures("allowed")
def test_an_absent_chunk_in_shards_of_unlike_sizes(tmp_path: Path) -> None:
    options: dict[str, Any] = {"shards": [[4, 8, 8, 2], [5]], "chunks": (2, 5)}
    array = zarr.create_array(tmp_path / "a.zarr", shape=(22, 5), dtype="f8", **options)
    array[:] = VALUES[:22]
    rows = open_rows(tmp_path / "a.zarr")
    rows.verify(0)
    assert np.array_equal(rows.read(0)[0], VALUES[:22])
    array[14:16] = 0.0  # left out by Zarr, as all chunks of nothing but fill are
    with pytest.raises(DataError, match=r"chunk c/2/0 \(inner chunk 1/0\) is not in the store"):
        rows.verify(0)
    findings = [f.told for f in examine(str(tmp_path / "a.zarr")) if f.subject == "chunks"]
    assert findings[0].startswith("shards of at most (8, 5)")


def test_where_zarr_does_not_read_them_one_sentence_says_so(unlike: str) -> None:
    with pytest.raises(DataError, match=f"chunks of unlike sizes .* 3.2 .*{SWITCH}=True"):
        open_rows(unlike)
    script = f"from gmm_dask.chunked.rows import open_rows; print(len(open_rows({unlike!r})))"
    environment = {**os.environ, SWITCH: "True"}
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert told.stdout == "1\n" if KNOWN else "unlike sizes" in told.stderr


def test_too_many_declared_chunks_are_refused_unexpanded() -> None:
    declared = {"kind": "inline", "chunk_shapes": [[[1, MOST_CHUNKS + 1]]]}
    told = {"chunk_grid": {"name": "rectilinear", "configuration": declared}}
    array = SimpleNamespace(shape=(8,), metadata=SimpleNamespace(to_dict=lambda: told))
    with pytest.raises(DataError, match=f"an axis of 8 declares {MOST_CHUNKS + 1} chunks, beyond"):
        axes_of(array)


def test_an_axis_is_told_as_it_was() -> None:
    regular, ragged = Axis(23, 8), Axis(23, 8, np.array([0, 4, 12, 20, 25]))
    assert regular.within(5, 17) == [5, 8, 16]
    assert ragged.within(5, 21) == [5, 12, 20]
    assert [ragged.declared(i) for i in range(4)] == [4, 8, 8, 5]
    assert regular.boundaries().tolist() == [0, 8, 16, 23]


@pytest.mark.parametrize("layout", [{"chunks": (4, 5)}, {"chunks": (4, 5), "shards": (8, 5)}])
def test_a_regular_grid_is_told_as_it_always_was(tmp_path: Path, layout: dict[str, Any]) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", data=VALUES, **layout)
    shards = layout.get("shards")
    assert chunk_layout(array) == {"chunks": [4, 5], "shards": shards and list(shards)}
