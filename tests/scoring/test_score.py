"""Scores written to Zarr: right, aligned, resumed after any end, never half-written unawares."""

import hashlib
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import dask.array
import numpy as np
import pytest
import zarr
from distributed import Client
from numpy.typing import NDArray

from gmm_dask import DataError
from gmm_dask.chunked.rows import open_rows
from gmm_dask.chunked.sources.stores import open_node
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.models.model import save_model
from gmm_dask.scoring.array import ScoreArray, chunk_length, label_dtype
from gmm_dask.scoring.claim import ScoresDifferError
from gmm_dask.scoring.group import ScoreGroup
from gmm_dask.scoring.score import Scores, score
from gmm_dask.store.errors import RunIsBusy, StorageError
from gmm_dask.store.local_folder import LocalFolder
from gmm_dask.store.location import open_folder
from gmm_dask.store.sealed import seal
from tests.chunked.conftest import local_cluster, store
from tests.scoring.test_lazy import a_mixture
from tests.store.conftest import s3_bucket as s3_bucket

Values = NDArray[np.float64]

ROWS = 2003
BLOCK = {"block_bytes": 2400}  # 100 rows of three features


@pytest.fixture
def mixture() -> Mixture:
    return a_mixture(4, 3)


@pytest.fixture
def values() -> Values:
    return np.random.default_rng(5).normal(size=(ROWS, 3)) * 3


@pytest.fixture
def path(tmp_path: Path, values: Values) -> str:
    return store(tmp_path / "rows.zarr", values, chunks=(50, 3))


def contents(where: Path) -> dict[str, str]:
    """Every file below a folder and what is in it."""
    files = (file for file in sorted(where.rglob("*")) if file.is_file())
    return {
        str(file.relative_to(where)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


def blocks_there(where: Path) -> dict[str, int]:
    """The blocks that are done, and when."""
    found = (where / "block_statistics/c").glob("*/0")
    return {file.parent.name: file.stat().st_mtime_ns for file in found}


def check(
    out: str | Path, mixture: Mixture, values: Values, *, width: int | None = None
) -> zarr.Group:
    """All arrays are there and hold what the mixture says of the whole array."""
    group = zarr.open_group(str(out), mode="r")
    posteriors = mixture.responsibilities(values)
    order = np.argsort(-posteriors, axis=1, kind="stable")[:, :width]
    expected = {
        "labels": mixture.labels(values),
        "log_density": mixture.log_density(values),
        "probabilities": posteriors,
        "top_components": order,
        "top_probabilities": np.take_along_axis(posteriors, order, axis=1),
    }
    for name, array in group.arrays():
        assert array.metadata.codecs[-1].to_dict()["name"] == "crc32c"
        if name in expected:
            tolerance = 1e-6 if array.dtype == np.float32 else 1e-12
            np.testing.assert_allclose(array[...], expected[name], rtol=tolerance, atol=tolerance)
    assert group.attrs["complete"] is True
    assert group.attrs["format_version"] == 1
    return group


def test_on_a_cluster_workers_write_what_the_mixture_says(
    client: Client, tmp_path: Path, path: str, values: Values, mixture: Mixture
) -> None:
    found = score(mixture, path, tmp_path / "out", client=client, **BLOCK)
    group = check(tmp_path / "out", mixture, values)
    assert sorted(group) == ["block_statistics", "labels", "log_density"]
    assert group["labels"].dtype == np.int8
    assert group["labels"].chunks == (100,)
    assert (found.rows, found.skipped, found.blocks, found.blocks_written) == (ROWS, 0, 21, 21)
    assert found.mean_log_density == pytest.approx(mixture.log_density(values).mean(), rel=1e-12)
    np.testing.assert_allclose(found.shares, np.bincount(mixture.labels(values)) / ROWS)
    assert dict(group.attrs["summary"])["shares"] == list(found.shares)
    assert not (tmp_path / "out/_scoring.json").exists()

    alone = score(mixture, path, tmp_path / "alone", **BLOCK)
    assert alone.summary() == found.summary()
    assert contents(tmp_path / "alone") == contents(tmp_path / "out")


def test_finished_scores_are_left_alone(tmp_path: Path, path: str, mixture: Mixture) -> None:
    first = score(mixture, path, tmp_path / "out", **BLOCK)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")}
    again = score(mixture, path, tmp_path / "out", **BLOCK)
    assert again.blocks_written == 0
    assert again.summary() == first.summary()
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")} == before


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"write": ("probabilities",)}, {"probabilities"}),
        ({"write": ("probabilities",), "dtype": "float32"}, {"probabilities"}),
        ({"top": 2}, {"labels", "log_density", "top_components", "top_probabilities"}),
        ({"write": ("labels",), "threshold": -12.0}, {"labels", "outlier"}),
        ({"write": ("labels",), "quantile": 0.1}, {"labels", "log_density", "outlier"}),
    ],
)
def test_what_to_write(
    tmp_path: Path, path: str, values: Values, mixture: Mixture, options: Any, names: set[str]
) -> None:
    found = score(mixture, path, tmp_path / "out", **options, **BLOCK)
    group = check(tmp_path / "out", mixture, values, width=options.get("top"))
    assert set(found.arrays) == names == {*group} - {"block_statistics"}
    if "outlier" in names:
        flags = group["outlier"][...]
        assert found.outlier_threshold is not None
        np.testing.assert_array_equal(flags, mixture.log_density(values) < found.outlier_threshold)
        assert flags.sum() == found.outliers > 0
    if "quantile" in options:
        assert found.outliers == int(0.1 * ROWS)


@pytest.mark.parametrize(
    "layout",
    [
        {"chunks": (50, 2)},
        {"chunks": (10, 3), "shards": (50, 3)},
        {"chunks": (700, 3)},
    ],
    ids=str,
)
def test_stores_chunked_otherwise(
    tmp_path: Path, values: Values, mixture: Mixture, layout: Any
) -> None:
    path = store(tmp_path / "rows.zarr", values, **layout)
    score(mixture, path, tmp_path / "out", write=("labels", "probabilities"), **BLOCK)
    group = check(tmp_path / "out", mixture, values)
    assert group["probabilities"].chunks[0] % layout["chunks"][0] == 0


def test_ranges_ragged_chunks_features_and_one_dimension(
    tmp_path: Path, path: str, values: Values, mixture: Mixture
) -> None:
    score(mixture, path, tmp_path / "range", rows=slice(70, 1999), **BLOCK)
    group = check(tmp_path / "range", mixture, values[70:1999])
    assert group.attrs["rows"] == [70, 1999]
    assert group["labels"].chunks == (100,)

    ragged = dask.array.from_array(values, chunks=((1000, 3, 500, 500), (2, 1)))
    score(mixture, ragged, tmp_path / "ragged", **BLOCK)
    check(tmp_path / "ragged", mixture, values)

    one = a_mixture(3, 1, "diag")
    score(one, values[:, 1], tmp_path / "one")
    check(tmp_path / "one", one, values[:, 1])

    two = a_mixture(3, 2)
    score(two, open_rows(path, features=[2, 0], weights=values[:, 0] ** 2), tmp_path / "two")
    check(tmp_path / "two", two, values[:, [2, 0]])


@pytest.mark.parametrize("options", [{}, {"quantile": 0.1}, {"top": 2}], ids=str)
def test_skipped_rows_stay_in_their_places(
    tmp_path: Path, values: Values, mixture: Mixture, options: Any
) -> None:
    values[[0, 700], [1, 2]] = np.nan, np.inf
    path = store(tmp_path / "rows.zarr", values, chunks=(50, 3))
    with pytest.raises(DataError, match=r"row 0 has nan as feature 1.*; 2 blocks have such rows"):
        score(mixture, path, tmp_path / "out", **options, **BLOCK)
    assert {"0", "7"} == {str(i) for i in range(21)} - {*blocks_there(tmp_path / "out")}
    out = tmp_path / "skipped"
    found = score(mixture, path, out, nonfinite="skip", **options, **BLOCK)
    assert (found.rows, found.skipped) == (ROWS - 2, 2)
    good = np.delete(np.arange(ROWS), [0, 700])
    group = zarr.open_group(out, mode="r")
    assert (group["labels"][...][[0, 700]] == -1).all()
    assert np.isnan(group["log_density"][...][[0, 700]]).all()
    np.testing.assert_array_equal(group["labels"][...][good], mixture.labels(values[good]))
    if "quantile" in options:
        assert not group["outlier"][...][[0, 700]].any()
        assert found.outliers == int(0.1 * (ROWS - 2)) == group["outlier"][...].sum()
    if "top" in options:
        assert (group["top_components"][...][[0, 700]] == -1).all()
        assert np.isnan(group["top_probabilities"][...][[0, 700]]).all()


@pytest.mark.parametrize("share", [0.001, 0.01, 0.37, 0.99])
def test_the_share_of_outliers_is_the_quantile(tmp_path: Path, share: float) -> None:
    values = np.random.default_rng(1).standard_t(3, size=150_001)
    values[:3] = -1e100, 1e140, 1e-300
    found = score(a_mixture(3, 1, "diag"), values, tmp_path / "out", quantile=share)
    assert found.outliers is not None
    assert share - 1e-5 - 1 / len(values) <= found.outliers / len(values) <= share
    assert zarr.open_group(tmp_path / "out", mode="r")["outlier"][...].sum() == found.outliers


def test_equal_densities_stay_together(tmp_path: Path) -> None:
    values = np.repeat([0.0, 1.0, 5.0], [500, 400, 100])
    mixture = Mixture([1.0], [[0.0]], [1.0], "spherical")
    assert score(mixture, values, tmp_path / "a", quantile=0.3).outliers == 100
    assert score(mixture, values, tmp_path / "b", quantile=0.05).outliers == 0


# -- interrupted ------------------------------------------------------------------------------


def test_after_an_error_only_missing_blocks_are_written(
    client: Client, tmp_path: Path, path: str, mixture: Mixture
) -> None:
    options: dict[str, Any] = {"top": 2, "quantile": 0.05, "client": client, **BLOCK}
    whole = score(mixture, path, tmp_path / "whole", **options)
    out, chunk = tmp_path / "out", Path(path) / "c/23/0"
    kept = chunk.read_bytes()
    chunk.write_bytes(kept[:-5])
    with pytest.raises(DataError, match="chunk c/23/0 is truncated or corrupt"):
        score(mixture, path, out, **options)
    _settled(out)
    there = blocks_there(out)
    assert "11" not in there
    with pytest.raises(FileNotFoundError):
        zarr.open_group(out, mode="r")
    with pytest.raises(FileNotFoundError):
        zarr.open_array(out / "labels", mode="r")

    chunk.write_bytes(kept)
    found = score(mixture, path, out, **options)
    assert found.blocks - len(there) == 21 - len(there) > 0
    assert {block: blocks_there(out)[block] for block in there} == there
    assert found.summary() == whole.summary()
    assert contents(out) == contents(tmp_path / "whole")


def _settled(out: Path) -> None:
    """Tasks that were running when another failed end on their own."""
    before = None
    while before != (now := contents(out)):
        before = now
        time.sleep(0.3)


@pytest.mark.parametrize("source", ["zarr", "numpy", "dask"])
def test_any_chunks_that_are_gone_are_written_again(
    tmp_path: Path, path: str, values: Values, mixture: Mixture, source: str
) -> None:
    out = tmp_path / "out"
    given: Any = {
        "zarr": path,
        "numpy": values,
        "dask": dask.array.from_array(values, chunks=(100, 3)),
    }[source]
    options: dict[str, Any] = {"quantile": 0.05, "rows": slice(70, None), **BLOCK}
    first = score(mixture, given, out, **options)
    check(out, mixture, values[70:])
    before = contents(out)
    for key in ("labels/c/3", "log_density/c/19", "block_statistics/c/7/0", "outlier/c/9"):
        (out / key).unlink()
    statistics = out / "block_statistics/c/12/0"
    statistics.write_bytes(statistics.read_bytes()[:-1] + b"!")  # damaged counts for undone
    found = score(mixture, given, out, **options)
    assert found.blocks_written == 4
    assert found.summary() == first.summary()
    assert contents(out) == before


def kill_when(process: int, out: Path, array: str, chunks: int) -> None:
    """SIGKILL, once so many chunks of an array are there."""
    while len(list((out / array / "c").glob("*"))) < chunks:
        time.sleep(0.001)
    os.kill(process, signal.SIGKILL)


def test_a_worker_is_killed(tmp_path: Path) -> None:
    mixture, values = a_mixture(4, 3), np.random.default_rng(0).normal(size=(80_000, 3))
    path = store(tmp_path / "rows.zarr", values, chunks=(2000, 3))
    out = tmp_path / "out"
    with local_cluster(2) as own:
        victims = own.run(os.getpid)
        arguments = (next(iter(victims.values())), out, "labels", 5)
        killing = Thread(target=kill_when, args=arguments, daemon=True)
        killing.start()
        score(mixture, path, out, client=own, block_bytes=48_000)
        killing.join()
        assert set(own.run(os.getpid).values()) != set(victims.values())
    check(out, mixture, values)


def test_workers_write_where_the_driver_was_when_asked(
    tmp_path: Path, path: str, mixture: Mixture, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They run elsewhere: theirs is another `out`."""
    monkeypatch.chdir(tmp_path)
    score(mixture, path, "out", client=client, **BLOCK)
    assert (tmp_path / "out" / "zarr.json").exists()


DRIVER = """
import sys
from gmm_dask.scoring.score import score
score(sys.argv[1], sys.argv[2], sys.argv[3], quantile=0.05, block_bytes=24_000)
"""


def test_the_driver_is_killed(tmp_path: Path, mixture: Mixture) -> None:
    """In the first pass and among the flags; the last call finds the rest of the work."""
    values = np.random.default_rng(0).normal(size=(30_000, 3))
    path = store(tmp_path / "rows.zarr", values, chunks=(1000, 3))
    model, out = tmp_path / "model", tmp_path / "out"
    save_model(mixture, model, feature_names=("x0", "x1", "x2"), provenance={})
    there: dict[str, int] = {}
    for array, chunks in (("block_statistics", 7), ("outlier", 3)):
        process = subprocess.Popen([sys.executable, "-c", DRIVER, model, path, out])
        kill_when(process.pid, out, array, chunks)
        assert process.wait() == -signal.SIGKILL
        now = blocks_there(out)
        assert {block: now[block] for block in there} == there
        assert not (out / "zarr.json").exists()
        there = now
    assert len(there) == 30
    found = score(model, path, out, quantile=0.05, block_bytes=24_000)
    assert 0 < found.blocks_written < 30
    assert {block: blocks_there(out)[block] for block in there} == there
    for leftover in out.rglob(".tmp-*"):
        leftover.unlink()
    score(model, path, tmp_path / "whole", quantile=0.05, block_bytes=24_000)
    assert contents(out) == contents(tmp_path / "whole")


def test_labels_take_the_smallest_integers_and_wide_chunks_are_parts_of_blocks() -> None:
    assert [label_dtype(k) for k in (1, 2, 128, 129, 32768, 32769)] == [
        *("int8", "int8", "int8", "int16", "int16", "int32")
    ]
    assert chunk_length(1_000_000, 8) == 1_000_000
    assert chunk_length(1_000_000, 400) == 125_000
    assert chunk_length(999_983, 400) == 999_983  # a prime: no even parts


@pytest.mark.parametrize("rows", [6000, 5987])  # the latter a prime: no even parts
def test_no_more_is_held_than_chunks_of_what_is_written(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gmm_dask.scoring.array.LARGEST_CHUNK", 1_000_000)
    model = a_mixture(300, 2)
    values = np.random.default_rng(2).normal(size=(rows, 2))
    stored = store(tmp_path / "rows.zarr", values, chunks=(rows, 2))
    told: dict[str, Any] = {"write": ("labels", "probabilities", "log_density"), "top": None}
    score(model, values[:10], tmp_path / "first", **told)
    tracemalloc.start()
    try:
        score(model, stored, tmp_path / "out", **told)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6_000_000, "of 14 MB of probabilities"
    check(tmp_path / "out", model, values)


# -- refusals ---------------------------------------------------------------------------------


def test_other_scores_are_refused_and_overwritten_when_asked(
    tmp_path: Path, path: str, values: Values, mixture: Mixture
) -> None:
    out = tmp_path / "out"
    score(mixture, path, out, **BLOCK)
    others: list[tuple[Any, Any, dict[str, Any], str]] = [
        (a_mixture(5, 3), path, {}, "model.digest"),
        (mixture, values, {}, "source.source.kind"),
        (mixture, path, {"rows": slice(0, 100)}, "rows: "),
        (mixture, path, {"nonfinite": "skip"}, "source.nonfinite"),
        (mixture, path, {"top": 2}, "options.top: None -> 2"),
        (mixture, path, {"quantile": 0.5}, "options.quantile"),
    ]
    for model, source, options, told in others:
        with pytest.raises(ScoresDifferError, match=told):
            score(model, source, out, **options, **BLOCK)
    check(out, mixture, values)
    other = a_mixture(5, 3)
    score(other, path, out, write=("labels",), overwrite=True, **BLOCK)
    group = check(out, other, values)
    assert sorted(group) == ["block_statistics", "labels"]
    assert not (out / "log_density").exists()


def test_a_killed_overwriting_is_ended(tmp_path: Path, path: str, mixture: Mixture) -> None:
    out = tmp_path / "out"
    score(mixture, path, out, **BLOCK)
    whole = contents(out)
    LocalFolder(out).replace("_scoring.json", seal({"clearing": ["labels", "log_density"]}))
    (out / "zarr.json").unlink()
    assert score(mixture, path, out, **BLOCK).blocks_written == 21
    assert contents(out) == whole


def test_whoever_is_late_does_not_write_into_what_others_began(tmp_path: Path) -> None:
    array = ScoreArray("labels", "int8", 10, 5)
    record = {"arrays": ["labels"], "model": "one"}
    late = ScoreGroup.at(tmp_path / "out", record, overwrite=False)
    with late.held(overwrite=False):
        late.write(0, {array: np.zeros(5, dtype="int8")})
    now = ScoreGroup.at(tmp_path / "out", record | {"model": "two"}, overwrite=True)
    with now.held(overwrite=True):
        assert now.missing([array], [0, 5, 10]) == [0, 1]
        for _ in range(2):
            with pytest.raises(StorageError, match="was overwritten by others"):
                late.write(5, {array: np.ones(5, dtype="int8")})
        assert now.missing([array], [0, 5, 10]) == [0, 1]
        now.finish({})
    with pytest.raises(StorageError, match="was finished by others meanwhile; these scores"):
        late.write(5, {array: np.ones(5, dtype="int8")})
    elsewhere = ScoreGroup(str(tmp_path / "elsewhere"), now.record)
    with pytest.raises(StorageError, match="not there for this worker"):
        elsewhere.write(0, {array: np.zeros(5, dtype="int8")})
    assert not (tmp_path / "elsewhere").exists()


@dataclass(frozen=True)
class Paused(ScoreArray):
    """Waits, as a process that is stopped does, between the look at the record and the write."""

    looked: Event = field(default_factory=Event, compare=False)
    go_on: Event = field(default_factory=Event, compare=False)

    def encode(self, first: int, values: NDArray[Any]) -> dict[str, bytes]:
        found = super().encode(first, values)
        self.looked.set()
        assert self.go_on.wait(60)
        return found


@pytest.mark.parametrize("place", ["files", "objects"])
def test_a_late_write_changes_nothing_of_what_others_finished(
    tmp_path: Path, path: str, mixture: Mixture, values: Values, place: str, request: Any
) -> None:
    out = f"{request.getfixturevalue('s3_bucket')}/late" if place == "objects" else tmp_path / "out"
    labels = Paused("labels", "int8", ROWS, 100)
    late = ScoreGroup.at(out, {"arrays": ["labels"], "model": "another"}, overwrite=False)
    with (
        local_cluster(1) as own,
        late.held(overwrite=False) as lock,
        ThreadPoolExecutor(1) as pool,
    ):
        writing = pool.submit(late.write, 0, {labels: np.full(100, 17, dtype="int8")})
        assert labels.looked.wait(60)
        lock.release()  # its driver has died, and left this worker with a write on its way
        score(mixture, path, out, quantile=0.1, overwrite=True, client=own, **BLOCK)
        labels.go_on.set()
        with pytest.raises(StorageError, match="was finished by others"):
            writing.result()
    found = open_node(f"{out}/labels")
    np.testing.assert_array_equal(found[:], mixture.labels(values))


def test_a_second_driver_is_told_who_writes(
    tmp_path: Path, path: str, mixture: Mixture, values: Values
) -> None:
    out, busy = tmp_path / "out", r"out is in use by process \d+ on .*Wait for it or end it"
    scoring = ScoreGroup.at(out, {"arrays": ["labels"]}, overwrite=False)
    with scoring.held(overwrite=False):
        for overwrite in (True, False):
            told = busy if overwrite else "holds scores that differ"
            with pytest.raises(StorageError, match=told):
                score(mixture, path, out, overwrite=overwrite, **BLOCK)
        with pytest.raises(RunIsBusy, match=busy), scoring.held(overwrite=False):
            pass
    score(mixture, path, out, overwrite=True, **BLOCK)
    check(out, mixture, values)
    assert not (out / ".lock").exists()


def test_what_is_not_ours_is_not_touched(tmp_path: Path, path: str, mixture: Mixture) -> None:
    before = contents(Path(path))
    with pytest.raises(StorageError, match="holds c, which is no part of scores"):
        score(mixture, path, path, overwrite=True)
    assert contents(Path(path)) == before
    with pytest.raises(StorageError, match=r"there is no folder .*nowhere: create it first"):
        score(mixture, path, tmp_path / "nowhere/out")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="file cannot hold scores: Not a directory"):
        score(mixture, path, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(StorageError, match="is no name for"):
        score(mixture, path, tmp_path / "a name")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"write": ("label",)}, "write must be a list of labels, probabilities, log_density, not"),
        ({"write": ()}, "nothing is to be written"),
        ({"top": 5}, "top=5 must lie between 1 and 4"),
        ({"quantile": 0.1, "threshold": 1.0}, "one of the two"),
        ({"quantile": 1.0}, "quantile must be a number above 0 and below 1"),
        ({"threshold": float("nan")}, "threshold=nan must be"),
        ({"dtype": "int8"}, "dtype must be float64 or float32, not 'int8'"),
    ],
)
def test_options_that_cannot_be_meant(
    tmp_path: Path, path: str, mixture: Mixture, options: Any, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        score(mixture, path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_features_of_another_name_or_number(tmp_path: Path, mixture: Mixture) -> None:
    group = zarr.open_group(tmp_path / "rows.zarr", mode="w")
    for name in "abc":
        group.create_array(name, data=np.arange(10.0))
    save_model(mixture, tmp_path / "model", feature_names="abc", provenance={})
    with pytest.raises(DataError, match="features c, b, a and the model a, b, c"):
        score(tmp_path / "model", tmp_path / "rows.zarr", tmp_path / "out", columns=["c", "b", "a"])
    with pytest.raises(DataError, match="has 2 features and the model 3"):
        score(mixture, tmp_path / "rows.zarr", tmp_path / "out", columns=["a", "b"])
    found = score(
        tmp_path / "model", tmp_path / "rows.zarr", tmp_path / "out", columns=["a", "b", "c"]
    )
    assert isinstance(found, Scores)


def test_a_place_that_is_read_only(path: str, mixture: Mixture) -> None:
    with pytest.raises(StorageError, match=r"/sys/out cannot hold scores: "):
        score(mixture, path, "/sys/out")


FULL = """
import resource, signal, sys
from gmm_dask.scoring.score import score
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))
score(sys.argv[1], sys.argv[2], sys.argv[3])
"""


def test_a_full_disk(tmp_path: Path, path: str, mixture: Mixture) -> None:
    """Files may grow to 2,500 bytes: beyond, the kernel refuses, as on a full disk."""
    model, out = tmp_path / "model", tmp_path / "out"
    save_model(mixture, model, feature_names=None, provenance={})
    arguments = [sys.executable, "-c", FULL, model, path, out]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False)
    told = ended.stderr.strip().splitlines()[-1]
    assert told.startswith("gmm_dask.store.errors.StorageError: ")
    assert "could not be written" in told
    assert "make room" in told
    score(model, path, out)
    assert not (out / "_scoring.json").exists()


# -- an object store --------------------------------------------------------------------------


def test_on_s3(tmp_path: Path, path: str, mixture: Mixture, s3_bucket: str) -> None:
    """Read from and written to, by a worker; interrupted there and resumed."""
    out, options = f"{s3_bucket}/scoring/out", {"quantile": 0.05, **BLOCK}
    chunk = Path(path) / "c/23/0"
    kept = chunk.read_bytes()
    chunk.unlink()
    with local_cluster(1) as own:
        with pytest.raises(DataError, match="chunk c/23/0 is not in the store"):
            score(mixture, path, out, client=own, **options)
        assert not open_folder(out).exists("zarr.json")
        chunk.write_bytes(kept)
        found = score(mixture, path, out, client=own, **options)
    assert 0 < found.blocks_written < 21 or found.outliers == int(0.05 * ROWS)
    local = score(mixture, path, tmp_path / "out", **options)
    assert local.summary() == found.summary()
    folder = open_folder(out)
    assert {key: hashlib.sha256(folder.read(key)).hexdigest() for key in folder.list()} == contents(
        tmp_path / "out"
    )
    with pytest.raises(ScoresDifferError, match=r"model\.digest"):
        score(a_mixture(5, 3), path, out, **BLOCK)
