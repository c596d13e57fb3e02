"""Clusters of any kind that Dask has, and doors that stay shut."""

import logging
import os
import socket
import subprocess
import sys
import time
from urllib.request import urlopen

import dask
import pytest
from distributed.security import Security

from gmm_dask import Configuration, ConfigurationError, fit
from gmm_dask.chunked.engines import workers
from gmm_dask.chunked.engines.faults import ClusterError
from gmm_dask.clusters.connection import cluster_for
from gmm_dask.clusters.page import page_of
from gmm_dask.doctor import cluster as doctor_of_clusters
from gmm_dask.doctor.cluster import on_cluster, same_versions
from gmm_dask.doctor.examination import guarded
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.store.retries import told_to
from tests.faults.cluster import processes_of
from tests.mixture.problems import drawn_mixture, drawn_rows

pytestmark = pytest.mark.timed

KIND = "distributed.LocalCluster"
QUIET = {"dashboard_address": "127.0.0.1:0", "n_workers": 0}


def refusal(**options):
    with (
        pytest.raises((ConfigurationError, ClusterError)) as caught,
        cluster_for(ClusterOptions(**options)),
    ):
        pass
    return str(caught.value)


def test_a_class_of_clusters_is_made_with_its_arguments_and_scaled():
    rows = drawn_rows(2000, drawn_mixture(2, 3))
    asked = ClusterOptions(kind=KIND, arguments={**QUIET, "threads_per_worker": 1}, workers=1)
    with cluster_for(asked) as client:
        result = fit(rows, Configuration(2, max_iter=3), client=client)
        assert list(client.nthreads().values()) == [1]
    assert (
        result.mixture.weights.tobytes()
        == fit(rows, Configuration(2, max_iter=3)).mixture.weights.tobytes()
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nowhere.Cluster", "is not to be found"),
        ("distributed.NoSuchCluster", "is not to be found"),
        ("LocalCluster", "is not to be found"),
        ("subprocess.Popen", "is no class of Dask clusters"),
    ],
)
def test_what_is_no_cluster_is_not_made(kind, message):
    assert message in refusal(kind=kind)


def test_arguments_that_a_cluster_does_not_take_are_told():
    assert "LocalCluster could not be started" in refusal(kind=KIND, arguments={"colour": 1})


def test_a_cluster_on_the_network_needs_tls_or_trust():
    open_door = {"kind": KIND, "arguments": {**QUIET, "host": "0.0.0.0"}}
    assert "whoever reaches it can run code" in refusal(**open_door)
    assert "whoever reaches it can run code" in refusal(kind="dask_jobqueue.SLURMCluster")
    with cluster_for(ClusterOptions(**open_door, workers=1, trust_network=True)) as client:
        assert client.submit(int, "3").result() == 3


def test_a_local_cluster_shows_its_dashboard_on_this_machine_only():
    with cluster_for(ClusterOptions(kind=KIND, arguments={"n_workers": 0}, workers=1)) as client:
        listening = client.run_on_scheduler(
            lambda dask_scheduler: [
                server.getsockname()[0] for server in dask_scheduler.http_server._sockets.values()
            ]
        )
    assert listening == ["127.0.0.1"]


class Messages(logging.Handler):
    """What is logged."""

    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


@pytest.fixture
def log():
    """What the library logs, by a handler of its own: Prefect, where tests of flows have loaded it,
    takes those of the root away."""
    library, heard = logging.getLogger("gmm_dask"), Messages()
    level = library.level
    library.addHandler(heard)
    library.setLevel(logging.INFO)
    yield heard
    library.setLevel(level)
    library.removeHandler(heard)


def test_a_dashboard_is_named_only_where_it_opens(log, tmp_path):
    asked = ClusterOptions(workers=1)
    with cluster_for(asked) as client:
        page = page_of(client)
        with urlopen(page) as shown:
            assert b"Mixtures" in shown.read()
    assert page.endswith("/gmm")
    assert f"dashboard: {page}" in " ".join(log.messages)
    (tmp_path / "bokeh.py").write_text("raise ImportError")
    make = ["data", "make", "rings", "--rows", "9", "--workers", "1", "--out", "x"]
    run = subprocess.run(
        [sys.executable, "-m", "gmm_dask", *make],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{os.getcwd()}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "dashboard: none (pip install 'gmm-dask[dashboard]')" in run.stderr
    assert "http://" not in run.stderr


def test_certificates_in_the_configuration_of_dask_are_used():
    made = Security.temporary()
    settings = {"distributed.comm.tls.ca-file": made.tls_ca_file}
    for role in ("scheduler", "worker", "client"):
        settings[f"distributed.comm.tls.{role}.key"] = made.tls_client_key
        settings[f"distributed.comm.tls.{role}.cert"] = made.tls_client_cert
    asked = ClusterOptions(kind=KIND, arguments={**QUIET, "host": "0.0.0.0"}, workers=1)
    with (
        dask.config.set(settings),
        cluster_for(asked) as client,
    ):
        assert client.scheduler.address.startswith("tls://")
        assert client.submit(int, "3").result() == 3


def test_a_queue_is_waited_for_only_so_long():
    assert "no worker of distributed.LocalCluster has come within 1s" in refusal(
        kind=KIND, arguments=QUIET, wait="1s"
    )


@pytest.fixture
def words():
    """What is said of waits."""
    said = []
    before = told_to(said.append)
    yield said
    told_to(before)


def test_a_port_that_takes_connections_and_says_nothing_is_given_up_in_time(words):
    with socket.create_server(("127.0.0.1", 0)) as port:
        address = f"tcp://127.0.0.1:{port.getsockname()[1]}"
        began = time.monotonic()
        assert f"no Dask scheduler answers at {address} within 15 s" in refusal(scheduler=address)
        assert time.monotonic() - began < 17
        assert f"waiting for the scheduler at {address}" in "".join(words)
        (finding,) = guarded("cluster", lambda: on_cluster(address))
        assert finding.level == "bad"
        assert time.monotonic() - began < 34


def test_a_frozen_scheduler_or_worker_ends_every_question(monkeypatch, words):
    for module in (workers, doctor_of_clusters):
        monkeypatch.setattr(module, "ANSWERED_WITHIN", 12.0)
    with processes_of(1) as made, cluster_for(ClusterOptions(scheduler=made.address)) as client:
        client.wait_for_workers(1, timeout=60)
        for one in made.workers[0].children(recursive=True):
            one.suspend()
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="scheduler and all workers has not answered"):
            list(same_versions(client))
        made.scheduler.suspend()
        with pytest.raises(ClusterError, match=f"{made.address} has not answered for 12 s"):
            fit(drawn_rows(99, drawn_mixture(2, 3)), Configuration(2), client=client)
        assert time.monotonic() - began < 45
        assert f"waiting for the scheduler at {made.address}" in "".join(words)
