"""Addresses: object stores on a real S3 server, and URLs that carry secrets."""

import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import zarr
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from obstore.store import S3Store
from zarr.storage import ObjectStore

from flows.retries import may_pass
from gmm_dask.chunked.engines.dask import DaskEngine
from gmm_dask.chunked.engines.in_process import SerialEngine
from gmm_dask.chunked.profile import profile
from gmm_dask.chunked.rows import DataError, open_rows
from tests.chunked.conftest import local_cluster, store

VALUES = np.random.default_rng(1).normal(size=(1000, 3))


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket of a server on loopback, found through the environment, as in real life."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        patch.setenv("AWS_REGION", "us-east-1")
        request = urllib.request.Request(f"http://{host}:{port}/rows", method="PUT")
        with urllib.request.urlopen(request):
            pass
        yield "rows"
    server.stop()


@pytest.fixture(scope="module")
def url(bucket: str) -> str:
    target = S3Store(bucket, prefix="a/b.zarr", client_options={"allow_http": True})
    array = zarr.create_array(
        ObjectStore(target), shape=VALUES.shape, dtype="f8", chunks=(50, 3), shards=(100, 3)
    )
    array[:] = VALUES
    return f"s3://{bucket}/a/b.zarr"


def test_an_object_store_is_read_by_workers_themselves(url: str) -> None:
    rows = open_rows(url, block_bytes=2400)
    assert rows.describe().startswith(url)
    assert b"nothing" not in repr(rows).encode()
    serial = profile(SerialEngine(rows, cache="none"), sample_rows=10, seed=1)
    np.testing.assert_allclose(serial.mean, VALUES.mean(axis=0), rtol=1e-12)
    with local_cluster(1) as client:
        made = profile(DaskEngine(client, rows, cache="none"), sample_rows=10, seed=1)
    assert made.mean.tobytes() == serial.mean.tobytes()


def test_an_absent_object_is_named(url: str) -> None:
    store = S3Store("rows", prefix="a/b.zarr", client_options={"allow_http": True})
    content = bytes(store.get("c/4/0").bytes())
    store.delete("c/4/0")
    try:
        with pytest.raises(DataError, match=r"a/b\.zarr: chunk c/4/0 is not in the store"):
            profile(SerialEngine(open_rows(url), cache="none"), sample_rows=10, seed=1)
    finally:
        store.put("c/4/0", content)


@contextmanager
def permissions_asked_for() -> Iterator[None]:
    """From now on the server wants a key that it knows, and ours is none."""
    _let_pass(b"0")
    try:
        yield
    finally:
        _let_pass(b"inf")


def _let_pass(requests: bytes) -> None:
    """So many more requests, whoever asks."""
    address = f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/reset-auth"
    request = urllib.request.Request(address, requests, {"Content-Type": "text/plain"})
    with urllib.request.urlopen(request):
        pass


def test_what_may_not_be_read_is_asked_for_once(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Permission denied is no lost connection: neither workers nor flows try again."""
    rows = open_rows(url, block_bytes=2400)
    with local_cluster(1) as client, permissions_asked_for():
        for engine in (DaskEngine(client, rows, cache="none"), SerialEngine(rows, cache="none")):
            with pytest.raises(DataError, match=r"b\.zarr may not be read.*credentials") as caught:
                profile(engine, sample_rows=10, seed=1)
            assert not may_pass(caught.value)
        with pytest.raises(DataError, match=r"b\.zarr may not be read"):
            open_rows(url)
        with pytest.raises(DataError, match=r"b\.zarr may not be read"):
            rows.verify(0)
    assert "trying again" not in caplog.text


def test_nothing_at_a_url(bucket: str) -> None:
    with pytest.raises(DataError, match="no Zarr array or group at s3://rows/other"):
        open_rows(f"s3://{bucket}/other")


def test_a_url_without_meaning() -> None:
    with pytest.raises(DataError, match="nowhere://a/b is not an address"):
        open_rows("nowhere://a/b")


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    path = store(tmp_path / "rows.zarr", VALUES, chunks=(50, 3))
    rows = open_rows(f"file://{path}")
    np.testing.assert_array_equal(rows.read(0)[0], VALUES)
