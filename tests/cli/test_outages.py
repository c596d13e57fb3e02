"""Commands whose store goes away in the middle: it is waited for, or what to do is said."""

import time

import pytest

from gmm_dask.runs.view import look_at_run
from tests.faults.cluster import processes_of, until
from tests.store.unruly import BUCKET, unruly

pytestmark = pytest.mark.timed

ENDLESS = ["-k", 3, "--tol", 0, "--cache", "none"]
SOURCE = f"{BUCKET}/b.zarr"


@pytest.fixture(scope="module")
def proxy():
    with unruly() as proxy:
        yield proxy


@pytest.fixture(scope="module", autouse=True)
def stored(proxy, tmp_path_factory, preloaded):
    from tests.cli.conftest import Shell

    shell = Shell(tmp_path_factory.mktemp("stored"), preloaded)
    make = "data make blobs --rows 4000 --features 2 --components 3 --chunk-rows 1000 --out"
    shell(*make.split(), SOURCE, **proxy.environment).well()


def begun(shell, proxy, name, *options, iterations=2, **environment):
    """A fit of rows in the store, in a run folder there, in the middle."""
    run = f"{BUCKET}/{name}"
    fitting = shell.start(
        "fit", SOURCE, *ENDLESS, "--out", run, *options, **proxy.environment, **environment
    )
    until(lambda: fitting.poll() is not None or len(proxy.checkpoints(name)) > iterations)
    assert fitting.poll() is None, shell.end(fitting)
    return fitting, run


def kept(run):
    return max(look_at_run(run).iterations_kept)


def test_a_fit_outlasts_an_outage_of_its_store_and_says_that_it_waits(shell, proxy):
    fitting, run = begun(shell, proxy, "outlasting", "--max-iter", 15)
    with proxy.during("503"):
        time.sleep(12)
    ended = shell.end(fitting).well()
    assert "has not answered for 10 s" in ended.err
    assert "503" in ended.err
    assert "after 60 s it is given up" in ended.err
    assert kept(run) == 15


def test_a_store_that_stays_away_is_a_failure_that_says_how_to_resume(shell, proxy):
    patience = {"GMM_DASK_PATIENCE": "2"}
    fitting, run = begun(shell, proxy, "away", "--max-iter", 100_000, **patience)
    with proxy.during("dropped"):
        began = time.monotonic()
        ended = shell.end(fitting)
        took = time.monotonic() - began
    assert "Traceback" not in ended.err
    assert ended.code == 1, ended.err
    assert took < 30, ended.err
    *_, told, advice = ended.err.strip().splitlines()
    assert told.startswith("error: "), ended.err
    assert advice == f"{run} does not answer: the same command goes on from its last checkpoint"
    proxy.asked.clear()
    again, _ = begun(shell, proxy, "away", "--max-iter", 100_000)
    again.terminate()
    ended = shell.end(again)
    assert ended.code == 130, ended.err
    assert "resuming" in ended.err


def test_the_doctor_does_not_wait_for_it_to_pass(shell, proxy):
    with proxy.during("503"):
        began = time.monotonic()
        ended = shell("doctor", SOURCE, "--out", f"{BUCKET}/any", **proxy.environment)
        took = time.monotonic() - began
    assert ended.code == 1
    assert "does not answer" in ended.out
    assert took < 45, ended.out


def test_after_a_lost_scheduler_it_is_said_how_to_resume(workplace):
    run = "runs/lost"
    with processes_of(1) as cluster:
        asked = ["fit", "b.zarr", "-k", 5, "--tol", 0, "--max-iter", 100_000, "--out", run]
        fitting = workplace.start(*asked, "--scheduler", cluster.address)
        until(
            lambda: fitting.poll() is not None or (workplace.folder / run / "checkpoints").exists()
        )
        cluster.scheduler.kill()
        ended = workplace.end(fitting)
    assert ended.code == 1, ended.err
    assert "Traceback" not in ended.err
    told, advice = ended.err.strip().splitlines()[-2:]
    assert told.startswith("a checkpoint of iteration "), ended.err
    assert advice == f"resume with: gmm-dask fit --config {workplace.folder / run}/config.toml"
