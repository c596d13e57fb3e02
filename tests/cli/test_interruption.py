"""Signals sent to a running fit: a checkpoint, exit code 130, and the same bits in the end."""

import signal
import socket
import time

import pytest

from tests.cli.test_fit import same_model
from tests.faults.cluster import processes_of

pytestmark = pytest.mark.timed

ENDLESS = ["-k", 5, "--tol", 0, "--max-iter", 150]


def test_interrupted_twice_a_run_ends_with_the_bits_of_an_undisturbed_one(workplace):
    source = ["fit", "b.zarr", *ENDLESS]
    whole = workplace.start(*source, "--out", "runs/whole")

    stopped = workplace.interrupt(
        workplace.start(*source, "--out", "runs/torn"), signal.SIGTERM, "runs/torn", 5
    )
    assert stopped.code == 130, stopped.err
    assert "a checkpoint of iteration" in stopped.err
    advice = stopped.err.strip().splitlines()[-1]
    assert advice.startswith("resume with: gmm-dask fit --config ")
    resume = advice.removeprefix("resume with: gmm-dask ").split()

    done = len((workplace.folder / "runs/torn/history.jsonl").read_text().splitlines())
    on_cluster = workplace.start(*resume, "--workers", 2)
    stopped = workplace.interrupt(on_cluster, signal.SIGINT, "runs/torn", done + 5)
    assert stopped.code == 130, stopped.err
    assert "Traceback" not in stopped.err
    assert "resuming" in stopped.err
    assert not (workplace.folder / "runs/torn/model.zarr").exists()

    shown = workplace("show", "runs/torn", "--json").well().json
    assert shown["state"].startswith("not finished: iteration")
    assert shown["mixture"]["components"] == 5
    assert "has no model yet" in workplace("verify", "runs/torn", "b.zarr").refused()

    # What was resumed on a cluster goes on in this process.
    resumed = workplace("fit", "b.zarr", *ENDLESS, "--out", "runs/torn", "--json").well()
    assert resumed.json["iterations"] == 150
    workplace.end(whole).well()
    models = (workplace.folder / "runs" / name / "model.zarr" for name in ("whole", "torn"))
    assert same_model(*models)


def test_watch_follows_a_running_fit_to_its_end(workplace):
    fit = workplace.start("fit", "b.zarr", *ENDLESS, "--seed", 1, "--out", "runs/watched")
    history = workplace.folder / "runs" / "watched" / "history.jsonl"
    while not history.exists():
        assert fit.poll() is None
    told = workplace("watch", "runs/watched", "--every", 0.1, "--json").well()
    workplace.end(fit).well()
    assert told.json["iterations"] == 150
    assert [f"iteration {i}:" in told.err for i in (0, 100, 150)] == [True] * 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_fit_ends_in_time_while_its_scheduler_is_frozen(workplace, number):
    run = f"runs/frozen-{number}"
    with processes_of(1) as cluster:
        fit = ["fit", "b.zarr", "-k", 5, "--tol", 0, "--max-iter", 100_000, "--out", run]
        fitting = workplace.start(*fit, "--scheduler", cluster.address)
        history = workplace.folder / run / "history.jsonl"
        while not history.exists() or history.read_bytes().count(b"\n") < 5:
            assert fitting.poll() is None, workplace.end(fitting)
        cluster.scheduler.suspend()
        time.sleep(13)
        began = time.monotonic()
        fitting.send_signal(number)
        ended = workplace.end(fitting)
        seconds = time.monotonic() - began
    assert ended.code == 130, ended.err
    assert f"the scheduler at {cluster.address}, which has not answered for 10 s" in ended.err
    assert "a checkpoint of iteration" in ended.err
    assert seconds < 15


def test_a_fit_ends_in_time_within_a_call_that_no_signal_reaches(workplace, silent_store):
    """As obstore's, which wait outside of Python."""
    fitting = workplace.start("fit", "b.zarr", "-k", 2, "--out", "s3://runs/r", **silent_store)
    time.sleep(13)
    began = time.monotonic()
    fitting.send_signal(signal.SIGTERM)
    ended = workplace.end(fitting)
    assert ended.code == 130, ended.err
    assert time.monotonic() - began < 15
    assert "waiting for s3://runs/r" in ended.err
    assert "s3://runs/r does not answer" in ended.err


@pytest.fixture
def silent_store():
    """The environment that leads to a store that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as port:
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }
