"""Addresses: object stores on a real S3 server, and URLs that carry secrets."""

import json
import os
import pickle
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

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


class Server(BaseHTTPRequestHandler):
    """Of objects that say how long they are; `sent` before nobody listened any more."""

    protocol_version = "HTTP/1.1"
    objects: ClassVar[dict[str, tuple[bytes, int]]] = {}
    sent = 0

    def do_GET(self) -> None:
        found = self.objects.get(self.path.partition("?")[0])
        if found is None:
            self.send_error(404)
            return
        head, size = found
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.send_header("Last-Modified", "Sat, 01 Jan 2022 00:00:00 GMT")
        self.end_headers()
        part, left = head + b" " * (2**20 - len(head)), size
        with suppress(OSError):
            while left > 0:
                left -= self.wfile.write(part[:left])
                type(self).sent += len(part)
                part = b" " * 2**20
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, tuple[bytes, int]]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr(Server, "objects", {})
    monkeypatch.setattr(Server, "sent", 0)
    yield Server.objects
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["zarr.json", ".zarray", ".zmetadata", "table/zarr.json"])
def test_metadata_beyond_all_bounds_are_refused_before_they_come(
    objects: dict[str, tuple[bytes, int]], name: str
) -> None:
    group = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}).encode()
    objects["/rows/a/zarr.json"] = group, len(group)
    if name == ".zmetadata":
        del objects["/rows/a/zarr.json"]
        objects["/rows/a/.zgroup"] = b'{"zarr_format": 2}', 18
    objects[f"/rows/a/{name}"] = b"{", 2**33
    with pytest.raises(DataError, match=rf"{name} takes 8589934592 bytes, and at most 16777216"):
        open_rows("s3://rows/a", **({"array": "table"} if "/" in name else {}))
    assert Server.sent < 2**26


def test_a_chunk_beyond_what_its_array_declares_is_refused_before_it_comes(
    objects: dict[str, tuple[bytes, int]], tmp_path: Path
) -> None:
    path = tmp_path / "rows.zarr"
    zarr.create_array(path, data=VALUES, chunks=(500, 3))
    for file in ("zarr.json", "c/0/0", "c/1/0"):
        content = (path / file).read_bytes()
        objects[f"/rows/a/{file}"] = content, len(content)
    rows = open_rows("s3://rows/a")
    np.testing.assert_array_equal(rows.source.read(0, 1000), VALUES)
    objects["/rows/a/c/1/0"] = objects["/rows/a/c/1/0"][0], 2**33
    sent = Server.sent
    with pytest.raises(DataError, match=r"chunk c/1/0 .* takes 8589934592 bytes, and no such"):
        pickle.loads(pickle.dumps(rows)).source.read(0, 1000)
    assert Server.sent < sent + 2**26
