"""Forms are the fields of the TOML file; what is retried, and how far a fit has come."""

from dataclasses import MISSING, fields
from threading import Timer

import pytest
from prefect.blocks.system import Secret
from prefect.client.schemas.objects import StateType
from prefect.logging import disable_run_logger
from prefect.utilities.callables import parameter_schema
from prefect.variables import Variable
from pydantic import ValidationError

from flows import commands, forms, retries
from flows.credentials import credentials_of
from flows.defaults import VARIABLE, defaults, over_defaults
from flows.display import share_done
from flows.fit_mixture import fit_mixture
from flows.ingest import ingest
from flows.jobs import job_asked, run_at, with_run
from flows.refit import refit
from flows.retries import left_to_the_other, may_pass, or_left
from flows.score_dataset import score_dataset
from flows.select_components import select_components
from gmm_dask import Configuration, ConfigurationError
from gmm_dask.chunked.engines.faults import BlocksKilledWorkers, ClusterError
from gmm_dask.chunked.rows import DataError
from gmm_dask.fitting.jobs import open_job
from gmm_dask.runs.configuration import load_values
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.job import Job, job_from
from gmm_dask.settings.rows import RowOptions
from gmm_dask.store.errors import (
    LeaseLostError,
    RunDiffersError,
    RunIsBusy,
    StorageError,
    StoreUnavailableError,
)
from gmm_dask.store.lock import FileLock

FLOWS = [fit_mixture, select_components, score_dataset, ingest, refit]


@pytest.mark.parametrize(
    ("form", "section"),
    [
        (forms.MixtureForm, Configuration),
        (forms.RowsForm, RowOptions),
        (forms.ClusterForm, ClusterOptions),
    ],
)
def test_a_form_has_the_fields_and_defaults_of_its_section_and_says_what_they_are(form, section):
    expected = {
        f.name: f.default if f.default is not MISSING else f.default_factory()
        for f in fields(section)
        if f.default is not MISSING or f.default_factory is not MISSING
    }
    found = {
        name: field.get_default(call_default_factory=True)
        for name, field in form.model_fields.items()
        if not field.is_required()
    }
    assert found == expected
    assert set(form.model_fields) == {f.name for f in fields(section)}
    assert all(field.title for field in form.model_fields.values())


def test_the_file_that_a_fit_leaves_is_what_the_flow_takes(tmp_path):
    written = tmp_path / "config.toml"
    written.write_text(job_from({"source": "a.zarr", "mixture": {"components": 3}}).as_toml())
    taken = fit_mixture.validate_parameters(load_values(str(written)))
    left_out = {"start", "models", "refit"}  # [mixture] init; another flow's
    assert {field.name for field in fields(Job)} - left_out <= set(taken)


@pytest.mark.parametrize("asked", FLOWS, ids=lambda one: one.name)
def test_every_field_of_the_form_has_a_title_and_help(asked):
    schema = parameter_schema(asked).model_dump_for_openapi()
    sections = schema["definitions"]
    for form in (schema, *sections.values()):
        for name, field in form["properties"].items():
            # The UI shows a section by what it refers to, but for what the field says otherwise.
            shown = sections.get(field.get("$ref", "").rpartition("/")[2], {}) | field
            assert shown["title"][0].isupper(), name
            assert shown["description"], name


def test_a_misspelt_field_is_refused():
    with pytest.raises(ValidationError, match="komponents"):
        forms.MixtureForm(komponents=3)


SHOWING = [
    "s3://me:hidden@bucket/x",
    "s3://hidden@bucket/x",
    "s3://me:hid/hidden@bucket/x",
    "https://host/x?sig=hidden",
]


@pytest.mark.parametrize("url", SHOWING)
def test_a_secret_in_an_address_is_refused_and_not_repeated(url, capsys):
    for fill_in in (
        lambda: forms.ClusterForm(scheduler=url),
        lambda: forms.RowsForm(weights=url),
        lambda: forms.MixtureForm(components=2, init=url),
        lambda: forms.MethodForm(init=f"labels:{url}"),
    ):
        with pytest.raises(ValidationError, match="stored and shown with the run") as refused:
            fill_in()
        assert "hidden" not in str(refused.value)
    for arguments in ([url], ["a.zarr", "--run", url], ["a.zarr", "--scheduler", url]):
        with pytest.raises(SystemExit):
            commands.given(commands.parser(""), arguments)
        told = capsys.readouterr().err
        assert "address carries" in told
        assert "hidden" not in told


@pytest.mark.parametrize(
    "arguments",
    [
        {"password": "hidden"},
        {"env": {"AWS_SESSION_TOKEN": "hidden"}},
        {"x": ["export TOKEN=hidden"]},
    ],
)
def test_a_secret_among_the_arguments_of_a_cluster_is_refused(arguments, tmp_path, capsys):
    with pytest.raises(ValidationError, match="looks like a secret") as refused:
        forms.ClusterForm(kind="dask_jobqueue.SLURMCluster", arguments=arguments)
    assert "hidden" not in str(refused.value)
    written = tmp_path / "asked.toml"
    written.write_text("[cluster.arguments]\nAccess_Token = 'hidden'\n")
    with pytest.raises(SystemExit):
        commands.given(commands.parser(""), ["a.zarr", "--config", str(written)])
    told = capsys.readouterr().err
    assert "cluster argument 'Access_Token' looks like a secret" in told
    assert "hidden" not in told


@pytest.mark.parametrize("text", ["kmeans", "labels:k", "labels:s3://b/k", "s3://b/u@h/m", "w"])
def test_what_shows_no_secret_is_taken(text):
    assert forms.MethodForm(init=text).init == text
    assert forms.RowsForm(weights=text).weights == text


def test_a_command_line_gives_the_parameters_of_a_flow(tmp_path):
    written = tmp_path / "asked.toml"
    written.write_text('source = "a.zarr"\n[mixture]\ncomponents = 3\ntol = 0.5\n')
    parser = commands.parser("")
    parser.add_argument("--components", "-k", type=int)
    told = ["b.zarr", "-k", "5", "--workers", "2", "--config", str(written)]
    assert commands.given(parser, told, mixture=("components",)) == {
        "source": "b.zarr",
        "mixture": {"components": 5, "tol": 0.5},
        "cluster": {"workers": 2},
    }


def test_a_run_without_a_name_is_named_after_rows_and_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("GMM_DASK_RUNS", str(tmp_path))
    rows = RowOptions()

    def place(components, source="data/iris.zarr"):
        import numpy as np
        import zarr

        path = tmp_path / source
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            zarr.save_array(path, np.arange(20.0).reshape(10, 2))
        job = job_asked(
            str(path),
            None,
            "auto",
            1,
            mixture=forms.MixtureForm(components=components),
            rows=forms.RowsForm(),
        )
        assert job.rows == rows
        return with_run(open_job(job)).job.run

    assert place(2) == place(2)
    assert len({place(2), place(3), place(2, "data/other.zarr")}) == 3
    assert place(2).startswith(f"{tmp_path}/iris-")


def test_names_of_runs_stay_inside_their_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GMM_DASK_RUNS", str(tmp_path))
    assert run_at("nightly") == f"{tmp_path}/nightly"
    assert run_at("s3://bucket/run") == "s3://bucket/run"
    for name in ("..", "-x", "a b", "", "x" * 65):
        with pytest.raises(ConfigurationError, match="is no name"):
            run_at(name)


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (ClusterError("the scheduler is gone"), True),
        (StoreUnavailableError("503"), True),
        (ConnectionResetError("reset"), True),
        (caused(ValueError("reading failed"), TimeoutError()), True),
        (BlocksKilledWorkers("blocks 3"), False),
        (caused(BlocksKilledWorkers("blocks 3"), ConnectionError()), False),
        (ConfigurationError("K"), False),
        (DataError("NaN"), False),
        (RunDiffersError("run", ("K",)), False),
        (StorageError("no such bucket"), False),
        (MemoryError(), False),
    ],
)
def test_what_can_pass_is_retried_and_what_cannot_is_not(error, passing):
    assert may_pass(error) is passing


def test_work_in_the_hands_of_another_is_left_to_it_under_a_name_of_its_own():
    @or_left
    def lost(folder):
        raise LeaseLostError(f"{folder} was taken over")

    end = left_to_the_other(lost("s3://b/run"))
    assert (end.name, end.type) == ("LeaseLost", StateType.FAILED)
    assert end.message == "s3://b/run was taken over"


@pytest.mark.parametrize("starts", [1, 2])
def test_a_run_started_again_waits_for_whoever_has_its_work(starts, tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__RUN_COUNT", str(starts))
    monkeypatch.setattr(retries, "LOOKS_AGAIN", 0.1)
    held = FileLock.take(tmp_path / ".lock")
    Timer(1.0, held.release).start()

    @or_left
    def begun(path):
        FileLock.take(path).release()
        return "done"

    with disable_run_logger():
        end = begun(tmp_path / ".lock")
    assert end == "done" if starts == 2 else isinstance(end, RunIsBusy)


def test_the_bar_goes_from_the_first_change_down_to_the_tolerance():
    def share(iteration, change):
        return share_done({"iteration": iteration, "change": change}, 1.0, 1e-4, 100)

    assert share(1, 1.0) == 0.01
    assert share(2, 1e-2) == pytest.approx(0.5)
    assert share(80, 1e-2) == 0.8
    assert share(2, -1e-9) == 0.02
    assert share_done({"iteration": 0, "change": None}, None, None, 0) == 0


def test_defaults_of_the_installation_lie_under_what_is_filled_in(served, monkeypatch):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", "any")
    usual = {"mixture": {"tol": 0.5, "seed": 3}, "credentials": "store"}
    with temporary_settings({PREFECT_API_URL: served.address}):
        assert over_defaults(forms.RowsForm()).given() == {}
        Variable.set(VARIABLE, usual)
        try:
            filled = over_defaults(forms.MixtureForm(components=2, tol=1e-3))
            assert filled.given() == {"components": 2, "tol": 1e-3, "seed": 3}
            assert defaults().credentials == "store"
            Variable.set(VARIABLE, {"cluster": {"schedular": "hidden"}}, overwrite=True)
            with pytest.raises(ConfigurationError, match="gmm_dask holds no defaults") as refused:
                over_defaults(forms.RowsForm())
            assert "schedular" in str(refused.value)
            assert "hidden" not in str(refused.value)
        finally:
            Variable.unset(VARIABLE)


def test_credentials_of_a_block_are_in_the_environment_only_meanwhile(served, monkeypatch):
    import os

    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setenv("GMM_DASK_TEST_KEY", "before")
    with temporary_settings({PREFECT_API_URL: served.address}):
        Secret(value={"GMM_DASK_TEST_KEY": "within", "GMM_DASK_TEST_NEW": "x"}).save("store")
        Secret(value="no object").save("wrong")
        with credentials_of("store"):
            assert os.environ["GMM_DASK_TEST_KEY"] == "within"
        assert os.environ["GMM_DASK_TEST_KEY"] == "before"
        assert "GMM_DASK_TEST_NEW" not in os.environ
        for block, told in (
            ("wrong", "must hold a JSON object"),
            ("nothing", "there is no Secret"),
        ):
            with pytest.raises(ConfigurationError, match=told), credentials_of(block):
                pass
