"""Each part of another library that is used beyond its promises is there, or is done without."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import dask.array
import numpy as np
import pytest
import zarr
from distributed import Client
from zarr.storage import LocalStore

import gmm_dask
from gmm_dask import Configuration, fit
from gmm_dask.chunked.borrowed import PARTS, Borrowed, codecs
from gmm_dask.chunked.borrowed import dask as of_dask
from gmm_dask.chunked.borrowed import part as parts
from gmm_dask.chunked.borrowed import zarr as of_zarr
from gmm_dask.chunked.borrowed.distributed import faults, messages, pages, questions, workers
from gmm_dask.chunked.rows import DataError, open_rows
from gmm_dask.chunked.sources.direct_chunks import DirectChunks
from gmm_dask.dashboard import dask_setup
from gmm_dask.doctor import examine, machine
from gmm_dask.mixture.refusals import Refusal
from tests.chunked.conftest import local_cluster, store

VALUES = np.random.default_rng(2).normal(size=(60, 3))


@pytest.fixture(autouse=True)
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_TOLD", set())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.library}: {part.part}")
def test_it_is_there(part: Borrowed) -> None:
    assert part.problem() is None


def test_doctor_looks_for_all_of_them() -> None:
    (finding,) = [found for found in examine() if found.subject == "private parts"]
    assert finding.level == "good"


def doctor_tells() -> list[str]:
    return [finding.told for finding in machine.parts()]


def told_in(caplog: pytest.LogCaptureFixture, part: Borrowed) -> None:
    """Once in the log, and by doctor."""
    assert [record.message for record in caplog.records].count(part.told()) == 1
    assert part.told() in doctor_tells()


def test_chunks_are_read_by_zarr_where_its_codecs_are_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = store(tmp_path / "rows.zarr", VALUES, chunks=(20, 3))
    before = fit(path, Configuration(2))
    assert DirectChunks.of(zarr.open_array(path)) is not None
    monkeypatch.delattr("zarr.core.array_spec.ArraySpec")
    for _ in range(2):
        assert DirectChunks.of(zarr.open_array(path)) is None
    after = fit(path, Configuration(2))
    assert np.array_equal(after.mixture.covariances, before.mixture.covariances)
    told_in(caplog, of_zarr.AT_ONCE)


def test_a_store_that_is_awaited_is_no_missing_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = store(tmp_path / "rows.zarr", VALUES, chunks=(20, 3))
    array = zarr.open_array(zarr.storage.WrapperStore(LocalStore(path)))
    monkeypatch.delattr(zarr.storage.WrapperStore, "get_sync", raising=False)
    assert DirectChunks.of(array) is None
    assert not caplog.records


def test_absent_chunks_are_found_on_a_loop_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = store(tmp_path / "rows.zarr", VALUES, chunks=(20, 3))
    Path(path, "c/1/0").unlink()
    rows = open_rows(path)

    async def in_a_notebook() -> None:
        with pytest.raises(DataError, match="chunk c/1/0 is not in the store"):
            rows.verify(0)

    with monkeypatch.context() as without:
        without.delattr("zarr.core.sync.sync")
        asyncio.run(in_a_notebook())
        told_in(caplog, of_zarr.EVENT_LOOP)


def test_blocks_that_dask_does_not_describe_are_looked_at_as_they_come(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    array = dask.array.from_array(VALUES, chunks=(20, 3))
    masked = dask.array.ma.masked_less(array, 0.0)
    with pytest.raises(DataError, match="holds blocks of MaskedArray"):
        open_rows(masked)
    monkeypatch.setattr(of_dask, "described", lambda array: array._description)
    with pytest.raises(DataError, match="came as MaskedArray"):
        open_rows(masked).read(0)
    told_in(caplog, of_dask.META)


def test_without_the_engine_of_graphs_one_sentence_says_what_to_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(of_dask, "core", None)
    array = dask.array.from_array(VALUES, chunks=(20, 3))
    with pytest.raises(Refusal, match="Dask arrays cannot be read: pass what they were made of"):
        open_rows(array)
    assert of_dask.ENGINE.told() in doctor_tells()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with local_cluster(2) as client:
        yield client


@pytest.mark.parametrize(
    ("module", "name", "part"),
    [
        (messages, "INTERVAL", messages.MESSAGES),
        (messages, "SENT", messages.LOGS),
        (questions, "ASKED", questions.QUESTIONS),
    ],
)
def test_a_cluster_gives_the_same_bits_where_clients_are_made_otherwise(
    module: ModuleType,
    name: str,
    part: Borrowed,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = fit(VALUES, Configuration(2), client=client)
    monkeypatch.setattr(module, name, "renamed")
    for _ in range(2):
        after = fit(VALUES, Configuration(2), client=client)
    assert np.array_equal(after.mixture.covariances, before.mixture.covariances)
    told_in(caplog, part)


def rename_notes(name: str) -> None:
    workers.NOTED = name


def told_on_worker() -> int:
    return sum(name == "distributed" for name, _ in parts._TOLD)


def test_a_streamed_fit_ends_as_well_where_tasks_take_no_notes(
    tmp_path: Path,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = store(tmp_path / "rows.zarr", VALUES, chunks=(20, 3))
    before = fit(path, Configuration(2), client=client, cache="none")
    client.run(rename_notes, "renamed")
    try:
        after = fit(path, Configuration(2), client=client, cache="none")
        assert max(client.run(told_on_worker).values()) == 1
    finally:
        client.run(rename_notes, "tasks")
    assert np.array_equal(after.mixture.covariances, before.mixture.covariances)
    monkeypatch.setattr(workers, "NOTED", "renamed")
    assert workers.NOTES.told() in doctor_tells()
    assert not caplog.records


def test_a_thread_is_nobodys_where_threads_are_not_known(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr("distributed.threadpoolexecutor.thread_state")
    for _ in range(2):
        assert workers.pool_thread() is None
    told_in(caplog, workers.THREADS)


def test_no_page_where_dask_makes_its_own_otherwise(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("bokeh")
    import distributed.dashboard.scheduler

    monkeypatch.delattr(distributed.dashboard.scheduler, "template_variables")
    for _ in range(2):
        dask_setup(SimpleNamespace(plugins={}, workers={}, add_plugin=str))
    told_in(caplog, pages.PAGES)


def test_faults_that_are_named_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "LOST_WORKERS", ())
    assert faults.FAULTS.told() in doctor_tells()


PRIVATE = re.compile(
    r"zarr\.core|\b_decode_sync|get_sync|\._meta\b|scheduler_comm|\bclient\.scheduler\b"
    r"|\.state\.tasks|distributed\.dashboard|thread_state|NoWorkerError|prefect\._"
)


def test_private_parts_are_used_in_one_place_a_library() -> None:
    package = Path(gmm_dask.__file__).parent
    files = [*package.rglob("*.py"), *(package.parent / "flows").glob("*.py")]
    using = {file for file in files if PRIVATE.search(file.read_text())}
    of_distributed = (faults, messages, pages, questions, workers)
    modules = (codecs, of_zarr, of_dask, *of_distributed)
    assert using == {Path(module.__file__) for module in modules}
