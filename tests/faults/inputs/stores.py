"""Row 18: stores that are incomplete, damaged, changed meanwhile, closed or full.

The error names the key, and what is half-written is never taken for whole.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client

from gmm_dask import Configuration, Mixture, fit, score
from gmm_dask.data import import_files
from gmm_dask.models.model import save_model
from gmm_dask.store.errors import RunDiffersError
from tests.chunked.conftest import local_cluster, store
from tests.faults.inputs.refusing import refused
from tests.faults.outcome import Outcome, Scale

ROWS, FEATURES, CHUNK = 100, 4, 10
VALUES = np.random.default_rng(3).normal(size=(ROWS, FEATURES)) + 5
ASKED = Configuration(2, tol=0, max_iter=4)
MIXTURE = Mixture([1.0], [[5.0] * FEATURES], [np.eye(FEATURES)])
BLOCKS: dict[str, Any] = {"block_bytes": 8 * FEATURES * CHUNK}
LAYOUTS: dict[str, dict[str, Any]] = {
    "zstd": {"chunks": (CHUNK, 2)},
    "raw": {"chunks": (CHUNK, 2), "compressors": None},
    "v2": {"chunks": (CHUNK, 2), "zarr_format": 2},
    "shards": {"chunks": (5, 2), "shards": (CHUNK, 2)},
    "crc32c": {"chunks": (CHUNK, 2), "compressors": zarr.codecs.Crc32cCodec()},
}


def broken(scale: Scale, seed: int) -> Outcome:
    """Chunks, metadata, changes on the way, and outputs."""
    outcome, draw = Outcome(), np.random.default_rng(seed)
    names = count()
    with TemporaryDirectory(prefix="faults-") as name:
        fresh = lambda: Path(name) / f"rows-{next(names)}.zarr"  # noqa: E731
        for layout in LAYOUTS if scale == "full" else ("zstd", "shards"):
            for turn in range(6 if scale == "full" else 1):
                place = int(draw.integers(ROWS // CHUNK)), int(draw.integers(2))
                for fault, strike in CHUNK_FAULTS.items():
                    with outcome.trying(f"{fault}, {layout}, {place}, {turn}"):
                        _chunk(fresh(), layout, place, strike)
        for client in _engines(outcome, scale):
            for when in range(1, 4):
                with outcome.trying(f"a chunk goes after {when} iterations, {client}"):
                    _gone_meanwhile(fresh(), when, client)
        _nodes(outcome, Path(name) / "nodes")
        _grown(outcome, fresh())
        _outputs(outcome, Path(name) / "outputs")
        _full_disk(outcome, Path(name) / "full", scale)
    return outcome


def _truncated(chunk: Path) -> None:
    chunk.write_bytes(chunk.read_bytes()[:-9])


def _emptied(chunk: Path) -> None:
    chunk.write_bytes(b"")


def _garbled(chunk: Path) -> None:
    chunk.write_bytes(b"\x17" * len(chunk.read_bytes()[:-1]))


CHUNK_FAULTS: dict[str, Callable[[Path], None]] = {
    "a missing chunk": Path.unlink,
    "a truncated chunk": _truncated,
    "an emptied chunk": _emptied,
    "a garbled chunk": _garbled,
}


def _chunk(path: Path, layout: str, place: tuple[int, int], strike: Callable[[Path], None]) -> None:
    """In fits and in scores; the scores are not there, and go on once the chunk is back."""
    store(path, VALUES, **LAYOUTS[layout])
    key = f"{place[0]}.{place[1]}" if layout == "v2" else f"c/{place[0]}/{place[1]}"
    kept = (path / key).read_bytes()
    out = path.with_suffix(".scores")
    strike(path / key)
    with refused(str(path), key):
        fit(path, ASKED, **BLOCKS)
    with refused(str(path), key):
        score(MIXTURE, path, out, **BLOCKS)
    assert not (out / "zarr.json").exists(), "half-written scores are taken for whole"
    (path / key).write_bytes(kept)
    assert score(MIXTURE, path, out, **BLOCKS).rows == ROWS


def _engines(outcome: Outcome, scale: Scale) -> Any:
    """This process, and in full a cluster."""
    yield None
    if scale == "full":
        with outcome.trying("a cluster"), local_cluster(2) as client:
            yield client


def _gone_meanwhile(path: Path, when: int, client: Client | None) -> None:
    """Streamed, a chunk that goes between two passes would be read as fill values."""
    store(path, VALUES, **LAYOUTS["zstd"])

    def strike(progress: Any) -> None:
        if progress.state.iteration == when:
            (path / "c" / "7" / "1").unlink()

    with refused(str(path), "c/7/1", "is not in the store"):
        fit(path, ASKED, client=client, cache="none", callbacks=[strike], **BLOCKS)


def _nodes(outcome: Outcome, folder: Path) -> None:
    """Something else than an array where one is wanted."""
    folder.mkdir()
    group = zarr.create_group(str(folder / "group.zarr"))
    group.create_array("table", data=VALUES)
    group.create_group("inner")
    (folder / "empty").mkdir()
    (folder / "broken.zarr").mkdir()
    (folder / "broken.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "arr')
    shutil.copytree(folder / "group.zarr", folder / "half.zarr")
    (folder / "half.zarr" / "table" / "zarr.json").unlink()
    (folder / "rows.zip").write_bytes(b"PK\x03\x04 no archive")
    cases: dict[str, tuple[Path, dict[str, Any], str]] = {
        "a missing store": (folder / "none.zarr", {}, "none.zarr"),
        "an empty folder": (folder / "empty", {}, "no Zarr array or group"),
        "a group for an array": (folder / "group.zarr", {}, "its arrays are table"),
        "a group in a group": (folder / "group.zarr", {"array": "inner"}, "its arrays are table"),
        "no such array": (folder / "group.zarr", {"array": "rows"}, "its arrays are table"),
        "an array for a group": (folder / "group.zarr" / "table", {"array": "a"}, "is one array"),
        "half of the metadata": (folder / "broken.zarr", {}, "broken.zarr"),
        "an array without metadata": (folder / "half.zarr", {"array": "table"}, "no array 'table'"),
        "a zip file that is none": (folder / "rows.zip", {}, "rows.zip"),
    }
    for what, (path, opening, told) in cases.items():
        with outcome.trying(what), refused(told):
            fit(path, ASKED, **opening)


def _grown(outcome: Outcome, path: Path) -> None:
    """Rows that come, go or change between two runs in one folder."""
    run = path.with_suffix(".run")
    array = zarr.open_array(store(path, VALUES, **LAYOUTS["zstd"]))
    fit(path, ASKED, run=run, **BLOCKS)
    with outcome.trying("rows appended after the profile"):
        array.append(VALUES[:CHUNK])
        _differs(path, run, "shape")
        array.resize((ROWS, FEATURES))
    with outcome.trying("an array made longer, its chunks never written"), refused("c/10/0"):
        array.resize((ROWS + CHUNK, FEATURES))
        fit(path, ASKED, **BLOCKS)
    array.resize((ROWS, FEATURES))
    with outcome.trying("a value changed after the profile"):
        shutil.rmtree(run)
        halfway = _halfway(path, run)
        assert halfway, "the run was not stopped half-way"
        array[3, 3] += 1.0
        _differs(path, run, "values have changed")


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Ends a fit on the way."""


def _halfway(path: Path, run: Path) -> bool:
    def stop(progress: Any) -> None:
        if progress.state.iteration == 2:
            raise Stopped

    try:
        fit(path, ASKED, run=run, callbacks=[stop], **BLOCKS)
    except Stopped:
        return True
    return False


def _differs(path: Path, run: Path, told: str) -> None:
    with pytest.raises(RunDiffersError, match=told):
        fit(path, ASKED, run=run, **BLOCKS)


def _outputs(outcome: Outcome, folder: Path) -> None:
    """Places that are taken, or cannot be written to."""
    folder.mkdir()
    rows = store(folder / "rows.zarr", VALUES, **LAYOUTS["zstd"])
    np.save(folder / "rows.npy", VALUES)
    (folder / "file").write_text("mine")
    (folder / "taken").mkdir()
    (folder / "taken" / "mine.txt").write_text("mine")
    ways: dict[str, Callable[[Path], object]] = {
        "run": lambda place: fit(rows, ASKED, run=place),
        "scores": lambda place: score(MIXTURE, rows, place),
        "model": lambda place: save_model(MIXTURE, place, feature_names=None, provenance={}),
        "import": lambda place: import_files([folder / "rows.npy"], place),
    }
    places = {
        "a file": folder / "file",
        "a folder of others": folder / "taken",
        "below a file": folder / "file" / "x",
        "read-only": Path("/proc/gmm-dask"),
    }
    for (what, way), (kind, place) in ((w, p) for w in ways.items() for p in places.items()):
        with outcome.trying(f"{what} to {kind}"):
            with refused(str(place if kind != "below a file" else folder / "file")):
                way(place)
            assert (folder / "file").read_text() == "mine"
            assert [path.name for path in (folder / "taken").iterdir()] == ["mine.txt"]


def _full_disk(outcome: Outcome, folder: Path, scale: Scale) -> None:
    """Scores on a file system that is full after so many kilobytes; whole once there is room."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    rows = store(folder / "rows.zarr", draw.normal(size=(6000, FEATURES)), chunks=(500, FEATURES))
    options: dict[str, Any] = {"quantile": 0.1, "block_bytes": 16_000}
    whole = score(MIXTURE, rows, folder / "whole", **options)
    for size in range(16, 240, 32) if scale == "full" else (80,):
        with outcome.trying(f"full after {size} kB"), _mounted(folder / "disk", size) as disk:
            with refused(str(disk / "out"), "make room"):
                score(MIXTURE, rows, disk / "out", **options)
            assert not (disk / "out" / "zarr.json").exists(), "taken for whole"
            _enlarged(disk, 8192)
            found = score(MIXTURE, rows, disk / "out", **options)
            assert found.summary() == whole.summary()


@contextmanager
def _mounted(place: Path, kilobytes: int) -> Iterator[Path]:
    """A file system in memory of a bounded size."""
    place.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "none", place)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _enlarged(place: Path, kilobytes: int) -> None:
    _mount("-o", f"remount,size={kilobytes}k", place)


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)
