"""Flows as a platform team runs them: a server on PostgreSQL, a worker, schedules, kills."""

import math
import re
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml
import zarr
from prefect.client.schemas.actions import DeploymentScheduleCreate, GlobalConcurrencyLimitCreate
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.concurrency.sync import concurrency
from prefect.exceptions import Abort, ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Crashed, Pending, Suspended
from prefect.utilities.engine import propose_state_sync
from prefect.variables import Variable

from flows import forms
from flows.defaults import VARIABLE
from flows.limits import limit_of
from gmm_dask.models.model import load_model
from gmm_dask.store.lock import FileLock
from tests.flows.servers import ROOT, end_tree, free_port, until
from tests.flows.slow import (
    SLOW,
    ask_slow,
    begin_slow,
    bits,
    flow_process,
    iterations,
    slow_job,
    stored,
    undisturbed_bits,
)
from tests.flows.test_pieces import SHOWING

pytestmark = [pytest.mark.needs("pg_isready"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Blobs, few and quick or many and slow."""
    return stored(tmp_path_factory.mktemp("rows"))


@pytest.fixture(scope="module")
def undisturbed(rows, tmp_path_factory):
    return undisturbed_bits(rows, tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize("deployment", ["fit-mixture/fit", "refit/refit-nightly"])
def test_a_form_begins_with_what_most_people_fill_in(asking, deployment):
    found = asking.client.read_deployment_by_name(deployment).parameter_openapi_schema
    for form in (forms.MixtureForm, forms.RowsForm, forms.ClusterForm):
        asked = found["definitions"][form.__name__]["properties"]
        shown = sorted(asked, key=lambda name: asked[name].get("position", math.inf))
        assert shown == list(form.model_fields)
    assert list(forms.MixtureForm.model_fields)[:2] == ["components", "covariance"]


def test_the_server_takes_a_work_pool_of_kubernetes_and_checks_what_is_asked_of_it(asking):
    made = ("work-pool", "create", "in-pods", "--type", "kubernetes", "--base-job-template")
    asking.platform.command("prefect", *made, "deploy/kubernetes/work-pool.json")
    pool = asking.client.read_work_pool("in-pods")
    assert pool.type == "kubernetes"
    assert pool.base_job_template["variables"]["properties"]["namespace"]["default"] == "gmm"
    deployed = asking.client.read_deployment_by_name("fit-mixture/fit")

    def with_variables(**variables):
        return asking.client.create_deployment(
            flow_id=deployed.flow_id,
            name="in-pods",
            work_pool_name="in-pods",
            job_variables=variables,
        )

    try:
        with_variables(memory_limit="16Gi", env={"GMM_DASK_RUNS": "s3://other/runs"})
        with pytest.raises(PrefectHTTPStatusError, match="memory"):
            with_variables(memory_limt="16Gi")
    finally:
        asking.client.delete_work_pool("in-pods")


def test_deployments_of_a_file_are_served_without_a_pool(asking, tmp_path):
    out = tmp_path / "served.zarr"
    entry = {
        "name": "served",
        "entrypoint": "flows/ingest.py:ingest",
        "parameters": {"files": ["data/faithful.csv"], "out": str(out)},
        "schedules": [{"cron": "15 2 1 1 *", "timezone": "Etc/UTC"}],
    }
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump({"deployments": [entry]}))
    serving = ("python", "-m", "flows.serving", str(tmp_path / "prefect.yaml"), "served")
    process = asking.platform.start("serving", *serving)
    try:
        until(lambda: deployed(asking, "ingest/served"), 120, "the deployment")
        assert deployed(asking, "ingest/served").schedules[0].schedule.cron == "15 2 1 1 *"
        run = asking.run("ingest/served")
        assert asking.ended(run).state.type == StateType.COMPLETED, asking.log(run)
    finally:
        end_tree(process)
    assert zarr.open(out, mode="r").shape == (272, 2)


def deployed(asking, name):
    """A deployment, once it is there."""
    with suppress(ObjectNotFound):
        return asking.client.read_deployment_by_name(name)


def test_a_deployed_fit_leaves_a_model_and_all_that_a_person_wants_to_see(asking, rows):
    run = asking.run(
        "fit-mixture/fit",
        source=str(rows / "small.zarr"),
        mixture={"components": 4},
        run="seen",
        cluster={"workers": 1},
    )
    ended = asking.ended(run)
    assert ended.state.type == StateType.COMPLETED, asking.log(run)
    assert ended.name == "4 full components of small.zarr"
    assert {"gmm-dask", "full", "K=4"} <= set(ended.tags)
    assert load_model(asking.platform.runs / "seen" / "model.zarr").mixture.components == 4
    seen = asking.artifacts(run)
    assert seen["progress"] == 100
    assert "data:image/png;base64," in seen["fit"]
    assert "seen/model.zarr" in seen["fit"]
    assert '"mean_log_likelihood"' in seen["history"]
    assert "/status" in seen["dashboard"]
    until(lambda: "Finished in state Completed" in asking.log(run), 30, "the log")
    log = asking.log(run)
    assert "iteration 1: mean log-likelihood" in log
    assert "on a local cluster of 1 x 1 threads" in log
    until(lambda: asking.events(run, "gmm_dask.fit.finished"), 30, "the event")
    event = asking.events(run, "gmm_dask.fit.finished")[0]
    assert event["payload"]["converged"] is True


def test_files_become_rows_and_rows_are_compared_and_scored(asking, tmp_path):
    place = {name: str(tmp_path / name) for name in ("rows.zarr", "run", "scores.zarr")}
    ingested = asking.run("ingest/ingest", files=["data/faith*.csv"], out=place["rows.zarr"])
    assert asking.ended(ingested).state.type == StateType.COMPLETED, asking.log(ingested)
    assert asking.read(ingested).name == "faith*.csv into rows.zarr"
    assert "272 rows" in asking.artifacts(ingested)["table"]

    selected = asking.run(
        "select-components/select",
        source=place["rows.zarr"],
        run=place["run"],
        components="1:3",
        rows={},
    )
    assert asking.ended(selected).state.type == StateType.COMPLETED, asking.log(selected)
    seen = asking.artifacts(selected)
    assert "**2 full components** have the smallest BIC of 6 candidates" in seen["selection"]
    assert seen["candidates"].count('"bic"') == 6

    asked = {"source": place["rows.zarr"], "model": place["run"], "out": place["scores.zarr"]}
    scored = [asking.run("score-dataset/score", **asked, rows={})]
    assert asking.ended(scored[0]).state.type == StateType.COMPLETED, asking.log(scored[0])
    assert zarr.open(place["scores.zarr"], mode="r")["labels"].shape == (272,)
    assert "outliers" in asking.artifacts(scored[0])["scores"]

    def asset(name):
        return f"file://{place[name]}"

    def made_of(run):
        until(lambda: asking.assets(run), 30, "the assets")
        ((made, of, facts),) = asking.assets(run)
        return made, of, facts

    assert made_of(ingested)[:2] == (asset("rows.zarr"), {f"file://{ROOT}/data/faith*.csv"})
    assert made_of(selected)[:2] == (asset("run"), {asset("rows.zarr")})
    made, of, facts = made_of(scored[0])
    assert (made, of) == (asset("scores.zarr"), {asset("rows.zarr"), asset("run")})
    assert facts["rows"] == 272

    (tmp_path / "held.zarr").mkdir()
    lock = FileLock.take(tmp_path / "held.zarr/.lock")
    left = asking.run(
        "score-dataset/score", **asked | {"out": str(tmp_path / "held.zarr")}, rows={}
    )
    assert asking.ended(left).state.name == "Busy", asking.log(left)
    assert "is in use by process" in asking.read(left).state.message
    lock.release()


def test_bad_input_fails_at_once_and_is_not_retried(asking, rows):
    run = asking.run(
        "fit-mixture/fit", source=str(rows / "nothing.zarr"), mixture={"components": 4}
    )
    ended = asking.ended(run)
    assert ended.state.type == StateType.FAILED
    assert "nothing is stored at" in ended.state.message
    assert "AwaitingRetry" not in asking.states(run)


@pytest.mark.parametrize("url", SHOWING)
def test_a_secret_never_becomes_a_parameter(asking, url):
    asked = {"source": "a.zarr", "mixture": {"components": 2}}
    for told in (
        {"source": url},
        {"run": url},
        {"rows": {"weights": url}},
        {"cluster": {"scheduler": url}},
        {"mixture": {"components": 2, "init": url}},
        {"mixture": {"components": 2, "init": f"labels:{url}"}},
    ):
        with pytest.raises(PrefectHTTPStatusError) as refused:
            asking.run("fit-mixture/fit", **{**asked, **told})
        assert refused.value.response.status_code in (409, 422)
    with pytest.raises(PrefectHTTPStatusError):
        asking.run("ingest/ingest", files=[url], out="b.zarr")
    with pytest.raises(PrefectHTTPStatusError):
        asking.run("fit-mixture/fit", **asked, cluster={"arguments": {"My_Password": url}})


def test_a_schedule_fires_and_fits(asking, rows):
    found = asking.client.read_deployment_by_name("fit-mixture/fit")
    soon = datetime.now(UTC) + timedelta(seconds=5)
    schedule = DeploymentScheduleCreate(
        schedule=IntervalSchedule(interval=timedelta(hours=1), anchor_date=soon),
        parameters={
            "source": str(rows / "small.zarr"),
            "mixture": {"components": 3},
            "run": "on-time",
        },
    )
    (made,) = asking.client.create_deployment_schedules(found.id, [schedule])
    try:
        until((asking.platform.runs / "on-time" / "FINISHED.json").exists, 90, "a scheduled fit")
    finally:
        asking.client.delete_deployment_schedule(found.id, made.id)


def test_a_killed_run_is_started_again_once_and_ends_with_the_same_bits(asking, rows, undisturbed):
    run = begin_slow(asking, rows, "killed")
    flow_process(run).send_signal(signal.SIGKILL)
    reached = iterations(asking, "killed")
    asking.ends_as(run, StateType.CRASHED)
    ended = asking.ends_as(run, StateType.COMPLETED)
    assert ended.run_count == 2
    assert "resuming" in asking.log(run)
    assert bits(asking.platform.runs / "killed") == undisturbed
    assert reached >= 3


def test_a_cancelled_run_ends_soon_with_a_checkpoint_and_the_next_one_goes_on(
    asking, rows, undisturbed
):
    run = begin_slow(asking, rows, "cancelled")
    assert asking.cancel(run) < 30
    reached = iterations(asking, "cancelled")
    assert 3 <= reached < SLOW["max_iter"]
    until(lambda: flow_process(run) is None, 30, "the end of the process")
    again = ask_slow(asking, rows, "cancelled")
    assert asking.ended(again).state.type == StateType.COMPLETED
    assert bits(asking.platform.runs / "cancelled") == undisturbed


def test_a_lost_cluster_is_waited_for_and_the_fit_goes_on(asking, rows, undisturbed):
    address = f"tcp://127.0.0.1:{free_port()}"
    with dask_at(address) as scheduler:
        run = begin_slow(asking, rows, "lost", cluster={"scheduler": address})
        scheduler.kill()
        scheduler.wait()
        until(lambda: "this may pass, trying again" in asking.log(run), 60, "the loss")
    with dask_at(address):
        assert asking.ended(run).state.type == StateType.COMPLETED, asking.log(run)
    assert bits(asking.platform.runs / "lost") == undisturbed


def test_a_place_is_waited_for_and_a_suspended_run_gives_it_back_and_resumes(
    asking, rows, undisturbed
):
    """On a scheduler that the installation's defaults name, with room for one."""
    address = f"tcp://127.0.0.1:{free_port()}"
    limit = GlobalConcurrencyLimitCreate(name=limit_of(address), limit=1)
    asking.client.create_global_concurrency_limit(limit)

    def taken():
        return asking.client.read_global_concurrency_limit_by_name(limit.name).active_slots

    with dask_at(address), defaults_are({"cluster": {"scheduler": address}}):
        with concurrency(limit.name):
            run = ask_slow(asking, rows, "suspended")
            until(lambda: "waiting for one of the places" in asking.log(run), 120, "the wait")
            assert not iterations(asking, "suspended")
        until(lambda: iterations(asking, "suspended") >= 3, 120, "the first iterations")
        assert taken() == 1
        asking.client.set_flow_run_state(run, Suspended(timeout_seconds=600))
        until(lambda: flow_process(run) is None, 60, "the end of the process")
        assert not taken()
        assert asking.read(run).state.name == "Suspended"
        assert not (asking.platform.runs / "suspended" / "FINISHED.json").exists()
        asking.client.resume_flow_run(run)
        assert asking.ended(run).state.type == StateType.COMPLETED, asking.log(run)
    assert "Resuming" in asking.states(run)
    assert "resuming" in asking.log(run)
    assert address in asking.log(run)
    assert bits(asking.platform.runs / "suspended") == undisturbed


@contextmanager
def defaults_are(values):
    """For a while, of everybody."""
    Variable.set(VARIABLE, values)
    try:
        yield
    finally:
        Variable.unset(VARIABLE)


@contextmanager
def dask_at(address):
    """A scheduler at an address of one's own, and a worker; as someone else runs them."""
    begun = []
    try:
        for arguments in (["scheduler", "--port", address.rpartition(":")[2]], ["worker", address]):
            command = [sys.executable, "-m", "dask", *arguments, "--host", "127.0.0.1"]
            begun.append(subprocess.Popen([*command, "--no-dashboard"], stderr=subprocess.DEVNULL))
        yield begun[0]
    finally:
        for process in begun:
            end_tree(process, patience=0)


def test_a_fit_goes_on_and_ends_without_the_server_and_publishes_when_it_is_back(asking, rows):
    """And one that is alive is not dead because its heartbeats did not arrive."""
    run = asking.run(
        "fit-mixture/fit",
        source=str(rows / "slow.zarr"),
        mixture={**SLOW, "max_iter": 800},
        run="cut-off",
        rows={"array": "rows"},
    )
    until(lambda: iterations(asking, "cut-off") >= 3, 120, "the first iterations")
    asking.client.set_flow_run_state(run, Crashed(message="No heartbeat"), force=True)
    asking.ends_as(run, StateType.RUNNING, 30)
    asking.platform.server.kill()
    asking.platform.server.wait()
    until((asking.platform.runs / "cut-off/FINISHED.json").exists, 120, "the end of the fit")
    flow = flow_process(run)
    asking.platform.start_server()
    assert asking.ended(run).state.type == StateType.COMPLETED, asking.log(run)
    assert flow is not None
    assert "AwaitingRetry" not in asking.states(run)
    assert {"progress", "fit", "history"} <= set(asking.artifacts(run))
    until(lambda: asking.events(run, "gmm_dask.fit.finished"), 30, "the event")
    until(lambda: "answers again" in asking.log(run), 30, "the log")


def test_two_fits_on_one_scheduler_both_finish_whichever_ends_first(asking, rows, undisturbed):
    address = f"tcp://127.0.0.1:{free_port()}"
    with dask_at(address):
        slow = begin_slow(asking, rows, "shared", cluster={"scheduler": address})
        quick = asking.run(
            "fit-mixture/fit",
            source=str(rows / "small.zarr"),
            mixture={"components": 4, "max_iter": 5},
            run="shared-quick",
            cluster={"scheduler": address},
        )
        assert asking.ended(quick).state.type == StateType.COMPLETED, asking.log(quick)
        assert not asking.read(slow).state.is_final()
        assert asking.ended(slow).state.type == StateType.COMPLETED, asking.log(slow)
    assert bits(asking.platform.runs / "shared") == undisturbed


def test_of_two_started_at_once_one_runs_and_the_other_leaves_it_to_it(asking, rows):
    started = [ask_slow(asking, rows, "twice") for _ in range(2)]
    ends = {asking.ended(run).state.name: asking.read(run) for run in started}
    assert set(ends) == {"Completed", "Busy"}
    assert "is in use by process" in ends["Busy"].state.message


@contextmanager
def by_hand(asking, rows, name, **settings):
    """A fit as a bare script, which nobody looks after."""
    written = asking.platform.folder / f"{name}.toml"
    job = slow_job(rows)
    written.write_text(replace(job, mixture=replace(job.mixture, **settings)).as_toml())
    asked = ["flows.fit_mixture", "--config", str(written), "--run", name]
    with left_alone(asking, name, *asked) as process:
        yield process


@contextmanager
def without_runner(asking, rows, name, **settings):
    """A fit as a worker starts it, when the worker's runner has given up on the server."""
    found = asking.client.read_deployment_by_name("fit-mixture/fit")
    asked = {
        "source": str(rows / "slow.zarr"),
        "mixture": {**SLOW, **settings},
        "run": name,
        "rows": {"array": "rows"},
    }
    run = asking.client.create_flow_run_from_deployment(found.id, parameters=asked, state=Pending())
    with left_alone(asking, name, "prefect.engine", str(run.id)) as process:
        yield process


@contextmanager
def left_alone(asking, name, *module):
    """A module as a process of its own, its output in a log, which ends with the test."""
    process = asking.platform.start(name, "python", "-m", *module)
    try:
        yield process
    finally:
        end_tree(process, patience=0)


def newest_run(asking, name):
    """The flow run that was asked for a run folder."""
    found = asking.client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=20)
    return next(one.id for one in found if one.parameters.get("run") == name)


def test_sigterm_of_a_bare_script_writes_a_checkpoint_and_ends(asking, rows):
    with by_hand(asking, rows, "asked") as script:
        until(lambda: iterations(asking, "asked"), 120, "the first iterations")
        script.terminate()
        assert script.wait(30) != 0
    assert iterations(asking, "asked")
    assert not (asking.platform.runs / "asked/FINISHED.json").exists()


@pytest.mark.parametrize("begin", [by_hand, without_runner], ids=lambda one: one.__name__)
def test_a_cancelled_run_that_nobody_ends_ends_itself_with_a_checkpoint(asking, rows, begin):
    name = f"left-{begin.__name__}"
    with begin(asking, rows, name, max_iter=1_000_000) as process:
        until(lambda: iterations(asking, name) >= 3, 120, "the first iterations")
        run = newest_run(asking, name)
        assert asking.cancel(run) < 45
        process.wait(30)
    told = (asking.platform.folder / f"{name}.log").read_text()
    assert told.count("it ends itself") == 1, told[-5000:]
    assert iterations(asking, name) >= last_told(told)
    assert not (asking.platform.runs / name / "FINISHED.json").exists()
    with suppress(Abort):
        propose_state_sync(asking.client, Crashed(message="No heartbeat"), flow_run_id=run)
    assert asking.states(run)[-2:] == ["Cancelling", "Cancelled"]


def last_told(log):
    """The newest iteration in it."""
    return max(int(found) for found in re.findall(r"iteration (\d+): mean log-likelihood", log))
