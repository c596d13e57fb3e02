"""Object stores that do not answer for a while: waited for, so long as is said, and told of."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from flows.retries import may_pass
from gmm_dask.chunked.rows import DataError, open_rows
from gmm_dask.chunked.sources.protocol import OutageError
from gmm_dask.data.synthetic import make, recipe_named
from gmm_dask.store.addresses import PATIENCE
from gmm_dask.store.errors import StorageError, StoreUnavailableError
from gmm_dask.store.folder import create_or_confirm
from gmm_dask.store.location import open_folder
from tests.store.unruly import BUCKET, Unruly, unruly

pytestmark = pytest.mark.timed

OUTAGE = 7.0
"""Seconds; longer than obstore's own retries ever take."""


@pytest.fixture(scope="module")
def proxy() -> Iterator[Unruly]:
    with unruly() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def rows(proxy: Unruly) -> str:
    del proxy
    where = f"{BUCKET}/rows.zarr"
    make(recipe_named("blobs", 2, 2, 0), where, 1000, seed=1)
    return where


def everything(kind: str) -> list[str]:
    """Each thing that can be asked of a folder, once."""
    folder = open_folder(f"{BUCKET}/{kind}/run")
    create_or_confirm(folder, "new", b"new")
    folder.replace("old", b"newer")
    assert folder.read("there") == b"there"
    assert folder.exists("there")
    assert not folder.exists("absent")
    folder.delete("there")
    return folder.list()


def test_whatever_is_asked_during_an_outage_is_answered_after_it(proxy: Unruly, rows: str) -> None:
    kinds = ("503", "dropped", "lost", "expired")
    for kind in kinds:
        folder = open_folder(f"{BUCKET}/{kind}/run")
        folder.replace("there", b"there")
        folder.replace("old", b"old")
    ends = time.monotonic() + OUTAGE

    def by_folder(_: str, path: str) -> str | None:
        if time.monotonic() > ends:
            return None
        return next((kind for kind in kinds if kind in path), "503")

    proxy.misbehaves = by_folder
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(lambda: open_rows(rows, array="rows").read(0))
        found = list(threads.map(everything, kinds))
        assert reading.result()[0].shape[1] == 2
    assert found == [["new", "old"]] * len(kinds)
    assert time.monotonic() > ends
    assert time.monotonic() - ends < 10


def test_patience_is_what_it_says(
    proxy: Unruly, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PATIENCE, "3")
    opened = open_rows(rows, array="rows")

    def write(kind: str) -> float:
        began, folder = time.monotonic(), open_folder(f"{BUCKET}/{kind}/run")
        with pytest.raises(StoreUnavailableError, match="key could not be written") as told:
            folder.replace("key", b"")
        assert may_pass(told.value)
        return time.monotonic() - began

    def read(kind: str) -> float:
        began = time.monotonic()
        with pytest.raises(OutageError, match=r"for 3 s .*then resume") as told:
            opened.read(0)
        assert may_pass(OutageError(*told.value.args)), kind  # as workers send it
        return time.monotonic() - began

    kinds = ("503", "dropped", "expired", "silent")
    proxy.misbehaves = lambda _, path: next((kind for kind in kinds if kind in path), "503")
    with ThreadPoolExecutor() as threads:
        asking = [threads.submit(read, "503"), *(threads.submit(write, kind) for kind in kinds)]
        seconds = [one.result() for one in asking]
    proxy.all(None)
    assert all(3 <= taken < 8 for taken in seconds), seconds


def test_what_is_refused_is_not_waited_for(proxy: Unruly, rows: str) -> None:
    folder = open_folder(f"{BUCKET}/kept")
    began = time.monotonic()
    with proxy.during("denied"):
        for ask in (folder.list, lambda: folder.read("key"), lambda: folder.replace("key", b"")):
            with pytest.raises(StorageError, match="credentials") as told:
                ask()
            assert not may_pass(told.value)
        with pytest.raises(DataError, match="may not be read"):
            open_rows(rows, array="rows")
    assert time.monotonic() - began < 2


def test_a_patience_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for told in ("long", "-1", "inf", "nan"):
        monkeypatch.setenv(PATIENCE, told)
        with pytest.raises(StorageError, match="is no number of seconds"):
            open_folder("s3://b/run")
