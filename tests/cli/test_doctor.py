"""What is wrong is found, and what to do is said."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import zarr
from distributed import LocalCluster

from gmm_dask.doctor import examine, prefect, source
from gmm_dask.doctor.cluster import on_cluster, shut

ROWS = np.random.default_rng(0).normal(size=(4000, 2))


def levels(findings):
    return {finding.subject: finding.level for finding in findings}


def test_absent_and_tiny_chunks_without_checksums_are_told(tmp_path):
    zarr.create_array(tmp_path / "x.zarr", data=ROWS, chunks=(100, 2))
    (tmp_path / "x.zarr" / "c" / "7" / "0").unlink()
    found = list(source.rows_of(str(tmp_path / "x.zarr"), {"block_bytes": 8000}))
    told = levels(found)
    assert (told["chunks"], told["checksums"], told["missing chunks"]) == ("note", "note", "bad")
    assert "c/7/0" in next(f.told for f in found if f.subject == "missing chunks")
    assert all(finding.advice for finding in found if finding.level != "good")


def test_chunks_along_features_are_told(tmp_path):
    zarr.create_array(tmp_path / "x.zarr", data=ROWS, chunks=(4000, 1))
    assert levels(source.rows_of(str(tmp_path / "x.zarr"), {}))["chunks"] == "note"


def test_a_reg_covar_that_is_not_little_beside_a_variance_is_told(shell):
    zarr.create_array(shell.folder / "x.zarr", data=np.c_[ROWS * [1, 1e-3], np.ones(4000)])
    told = shell("doctor", "x.zarr").well().out
    assert "reg_covar, 1e-06, is 101% of the variance of x1, whose standard" in told
    told = shell("doctor", "x.zarr", "--reg-covar", 1e-9).well().out
    assert "1e-09 is little beside the variances in 1 of 1 blocks" in told


def test_what_cannot_be_looked_at_is_a_finding_too():
    found = levels(examine("nowhere.zarr", run="runs/…"))
    assert (found["data"], found["run folder"], found["versions"]) == ("bad", "bad", "good")


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_prefect_is_reached_or_not(monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), Healthy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
    try:
        assert levels(prefect.server()) == {"Prefect": "good"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert levels(prefect.server()) == {"Prefect": "bad"}
    monkeypatch.setenv("PREFECT_API_URL", "http://me:secret@127.0.0.1/api")
    (found,) = prefect.server()
    assert found.level == "bad"
    assert "secret" not in found.told


def test_a_cluster_is_looked_at():
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        found = levels(on_cluster(cluster.scheduler_address))
    assert found["cluster"] in ("good", "note")
    assert found["workers"] == "good"


def test_a_cluster_that_adapts_may_have_no_workers():
    with LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster:
        found = levels(on_cluster(cluster.scheduler_address))
    assert found["cluster"] == "note"
    assert "bad" not in found.values()


@pytest.mark.parametrize(
    ("address", "level"),
    [("tcp://127.0.0.1:1", "good"), ("tls://a:1", "good"), ("tcp://a:1", "note")],
)
def test_an_open_scheduler_is_told(address, level):
    assert [finding.level for finding in shut(address)] == [level]
