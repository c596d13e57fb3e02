"""The whole way: rows, passes, EM, checkpoints, a model; interrupted, resumed, refused."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from threadpoolctl import threadpool_limits

from gmm_dask import Configuration, ConfigurationError, DataError, Mixture, fit, select
from gmm_dask.fitting.jobs import open_job
from gmm_dask.fitting.journal import Journal, Rhythm, iteration_line
from gmm_dask.fitting.run_loop import Progress
from gmm_dask.fitting.starts import GivenParameters
from gmm_dask.mixture.iteration import EMSettings, fall, start
from gmm_dask.mixture.iteration import run as run_em
from gmm_dask.mixture.regularisation import RegularisationWarning
from gmm_dask.mixture.starts.initial import Sample
from gmm_dask.mixture.starts.race import statistics_of_sample
from gmm_dask.mixture.stopping import Stopping
from gmm_dask.models.model import load_model
from gmm_dask.report import write_report
from gmm_dask.runs.checkpoint import complete_iterations
from gmm_dask.runs.folder import open_run
from gmm_dask.runs.inspection import inspect
from gmm_dask.settings.job import Job
from gmm_dask.store.errors import OtherRunError, RunDiffersError
from gmm_dask.store.location import open_folder

ONE_PASS = EMSettings(Stopping(max_iter=0))


def rows_of(seed: int = 0, size: int = 3000) -> np.ndarray:
    random = np.random.default_rng(seed)
    means = np.array([[0, 0, 0], [3, 1, 0], [0, 3, 2]])
    return means[random.integers(3, size=size)] + random.normal(size=(size, 3))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "rows.zarr"
    zarr.create_array(path, data=rows_of(), chunks=(500, 3))
    return path


def same(one: Mixture, other: Mixture) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("weights", "means", "covariances")
    )


class Interrupted(BaseException):
    """As Ctrl-C or Prefect's cancellation: not an Exception."""


def interrupt_at(iteration: int):
    def tell(progress: Progress) -> None:
        if progress.state.iteration == iteration:
            raise Interrupted

    return tell


def without_times(history):
    return [{k: v for k, v in entry.items() if k not in ("seconds", "time")} for entry in history]


@pytest.mark.parametrize("accelerate", [None, "auto", "squarem", "anderson"])
@pytest.mark.parametrize("every", [1, 4])
def test_a_resumed_run_ends_with_the_bits_of_an_undisturbed_one(store, tmp_path, every, accelerate):
    configuration = Configuration(3, tol=0, max_iter=25, accelerate=accelerate)
    whole = fit(store, configuration, run=tmp_path / "whole")
    run = tmp_path / "run"
    for at in (2, 7, 11):
        with pytest.raises(Interrupted):
            fit(
                store,
                configuration,
                run=run,
                checkpoint=Rhythm(every),
                callbacks=[interrupt_at(at)],
            )
        assert not (run / "model.zarr").exists()
    resumed = fit(store, configuration, run=run, checkpoint=Rhythm(every))
    assert same(whole.mixture, resumed.mixture)
    assert without_times(whole.history) == without_times(resumed.history)
    assert [entry["iteration"] for entry in resumed.history] == list(range(26))


def test_a_run_with_an_older_checkpoint_that_was_once_the_likeliest_goes_on(store, tmp_path):
    """As earlier versions left it, which kept a fourth."""
    run, configuration = tmp_path / "run", Configuration(3, tol=0, max_iter=12)
    whole = fit(store, configuration)
    old, aside = run / "checkpoints" / "it-00000002", tmp_path / "aside"
    with pytest.raises(Interrupted):
        fit(store, configuration, run=run, callbacks=[interrupt_at(2)])
    shutil.copytree(old, aside)
    with pytest.raises(Interrupted):
        fit(store, configuration, run=run, callbacks=[interrupt_at(7)])
    shutil.copytree(aside, old)
    assert complete_iterations(open_folder(run)) == [0, 2, 3, 5, 6, 7]
    assert same(whole.mixture, fit(store, configuration, run=run).mixture)
    assert complete_iterations(open_folder(run)) == [0, 8, 10, 11, 12]


@pytest.mark.parametrize(
    ("other", "rows"),
    [
        ({"components": 2}, None),
        ({"covariance": "diag"}, None),
        ({"seed": 9}, None),
        ({}, slice(1000)),
        ({}, None),
    ],
)
def test_a_run_does_not_end_as_another_whose_checkpoints_were_copied_in(
    store, tmp_path, other, rows
):
    asked = {"components": 3, "seed": 1}
    with pytest.raises(Interrupted):
        fit(store, Configuration(**asked), run=tmp_path / "run", callbacks=[interrupt_at(1)])
    fit(store, Configuration(**asked | other), run=tmp_path / "other", rows=rows)
    for one in (tmp_path / "other" / "checkpoints").iterdir():
        shutil.copytree(one, tmp_path / "run" / "checkpoints" / one.name, dirs_exist_ok=True)
    with pytest.raises(OtherRunError, match="is a checkpoint of another run"):
        fit(store, Configuration(**asked), run=tmp_path / "run")


def test_a_finished_run_is_left_alone(store, tmp_path):
    first = fit(store, 3, run=tmp_path / "run")
    told: list[Progress] = []
    again = fit(store, 3, run=tmp_path / "run", callbacks=[told.append])
    assert not told
    assert same(first.mixture, again.mixture)
    assert first.summary() == again.summary()
    model = load_model(tmp_path / "run" / "model.zarr")
    assert same(model.mixture, first.mixture)
    assert model.provenance["reason"] == first.reason


def test_another_configuration_is_refused_by_name(store, tmp_path):
    fit(store, Configuration(3), run=tmp_path / "run")
    with pytest.raises(RunDiffersError, match=r"configuration\.components: 3 -> 4"):
        fit(store, Configuration(4), run=tmp_path / "run")
    fit(store, Configuration(4), run=tmp_path / "run", restart=True)
    assert (tmp_path / "run.old-1" / "model.zarr").exists()


def test_changed_values_are_refused_though_the_layout_is_the_same(store, tmp_path):
    configuration = Configuration(3, tol=0, max_iter=9)
    with pytest.raises(Interrupted):
        fit(store, configuration, run=tmp_path / "run", callbacks=[interrupt_at(3)])
    zarr.open_array(store)[17, 1] = 4.0
    with pytest.raises(RunDiffersError, match="values have changed"):
        fit(store, configuration, run=tmp_path / "run")


def test_labels_of_all_rows_are_a_start():
    random = np.random.default_rng(3)
    labels = random.integers(2, size=1000)
    rows = random.normal(size=(1000, 2)) + 9 * labels[:, None]
    found = fit(rows, Configuration(2, max_iter=0), labels=labels)
    for k in range(2):
        np.testing.assert_allclose(found.mixture.means[k], rows[labels == k].mean(axis=0))


def test_labels_lose_their_row_with_it():
    rows, labels = np.array([[0.0], [np.nan], [1], [9], [10]]), np.array([0, 1, 0, 1, 1])
    found = fit(rows, Configuration(2, "diag", max_iter=0), labels=labels, nonfinite="skip")
    np.testing.assert_allclose(found.mixture.means, [[0.5], [9.5]])


def test_given_mixtures_compete_in_the_same_passes():
    rows = rows_of()
    poor = Mixture([0.5, 0.5], [[50.0, 0, 0], [51.0, 0, 0]], np.tile(np.eye(3), (2, 1, 1)))
    good = Mixture([0.5, 0.5], [[0.0, 0, 0], [1.5, 2, 1]], np.tile(np.eye(3), (2, 1, 1)))
    configuration = Configuration(2, tol=1e-6, max_iter=300)
    both = fit(rows, configuration, initial=[poor, good])
    alone = fit(rows, configuration, initial=good)
    assert both.mean_log_likelihood >= alone.mean_log_likelihood - 1e-9
    assert len(both.history[0]["candidates"]) == 2


def test_a_given_mixture_starts_the_same_fit_whatever_threads_blas_had_when_it_was_made():
    rows = np.random.default_rng(0).normal(size=(1500, 160))
    covariance = np.cov(rows.T)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            given = Mixture([0.5, 0.5], rows[:2], np.stack([covariance, 2 * covariance]))
            found.append(fit(rows, Configuration(2, tol=0, max_iter=2), initial=given).mixture)
    assert same(*found)


def test_restarts_are_raced_and_reproducible():
    rows = rows_of()
    one, two = (
        fit(rows, Configuration(3, init="random_from_data", n_init=6, seed=11)) for _ in range(2)
    )
    assert same(one.mixture, two.mixture)
    assert len(one.history[0]["candidates"]) == 2


def test_weights_count_rows():
    rows = rows_of(size=400)
    weights = np.random.default_rng(0).integers(0, 3, size=400)
    start = fit(rows, 2).mixture
    configuration = Configuration(2, tol=0, max_iter=5)
    weighted = fit(rows, configuration, initial=start, weights=weights.astype(float))
    repeated = fit(np.repeat(rows, weights, axis=0), configuration, initial=start)
    np.testing.assert_allclose(weighted.mixture.means, repeated.mixture.means, rtol=1e-9)
    assert weighted.statistics.weight == weights.sum()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"components": 0}, ConfigurationError, "components must be a whole number from 1 up"),
        (
            {"covariance": "round"},
            ConfigurationError,
            "covariance must be one of full, tied, diag, spherical",
        ),
        ({"tol": -1}, ConfigurationError, "tol must be a number from 0 up"),
        ({"init": "guess"}, ConfigurationError, "init must be one of"),
        (
            {"accelerate": "warp"},
            ConfigurationError,
            "accelerate must be one of auto, squarem, anderson or None",
        ),
        ({"reg_covar": float("nan")}, ConfigurationError, "reg_covar"),
        ({"arithmetic": "float16"}, ConfigurationError, "arithmetic must be float64 or float32"),
        ({"components": 50}, ValueError, "50 components need as many rows"),
    ],
)
def test_bad_settings_are_one_sentence(values, error, message):
    with pytest.raises(error, match=message):
        fit(rows_of(size=40), Configuration(**({"components": 2} | values)))


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("given", r"init='given' needs a mixture to begin with \(initial=\); give it, or"),
        ("labels", r"init='labels' needs a label of every row \(labels=\); give it, or"),
    ],
)
@pytest.mark.parametrize(
    "begun",
    [
        lambda store, asked: fit(store, asked),
        lambda store, asked: fit(store, asked, initial=GivenParameters(weights=[0.5, 0.5])),
        lambda store, asked: select(store, [1, 2], init=asked.init),
        lambda store, asked: open_job(Job(str(store), asked)),
    ],
)
def test_a_start_that_was_to_be_given_is_asked_for_before_any_pass(store, init, message, begun):
    zarr.open_array(store)[0, 0] = np.nan  # which the first pass would refuse
    with pytest.raises(ConfigurationError, match=message):
        begun(store, Configuration(2, init=init))


def test_a_start_that_is_given_whole_is_all_that_its_init_needs():
    rows = rows_of(size=200)
    labels, means = np.arange(200) % 2, rows[:2]
    fit(rows, Configuration(2, init="labels", max_iter=0), labels=labels)
    found = fit(
        rows, Configuration(2, init="given", max_iter=0), initial=GivenParameters(means=means)
    )
    again = fit(rows, Configuration(2, init="given", max_iter=0), initial=found.mixture)
    np.testing.assert_array_equal(again.mixture.means, means)


def test_bad_rows_are_refused_before_the_first_iteration(tmp_path):
    rows = rows_of()
    rows[1234, 2] = np.nan
    with pytest.raises(DataError, match="row 1234"):
        fit(rows, 3, run=tmp_path / "run")
    assert not list((tmp_path / "run").glob("checkpoints/*"))


def test_an_initial_mixture_must_fit():
    given = Mixture([1.0], np.zeros((1, 2)), np.eye(2)[None])
    with pytest.raises(ConfigurationError, match="1 components, 2 features and full"):
        fit(rows_of(), 3, initial=given)


@pytest.mark.parametrize("at", [8, 9, 13, 20])
def test_a_component_that_degenerates_is_an_event_of_each_kind_once_however_often_it_is_resumed(
    tmp_path, at
):
    rows = np.loadtxt(Path("data/iris.csv"), delimiter=",", skiprows=1, usecols=range(4))
    configuration = Configuration(7, tol=1e-6, reg_covar=1e-4, max_iter=40, seed=3)
    run = tmp_path / "run"
    with pytest.raises(Interrupted):
        fit(rows, configuration, run=run, callbacks=[interrupt_at(at)])
    found = fit(rows, configuration, run=run)
    assert without_times(found.history) == without_times(fit(rows, configuration).history)
    within, entry = (entry for entry in found.history if entry["events"])
    for told, kind in ((within, "lies within the rounding"), (entry, "rests on reg_covar")):
        (event,) = told["events"]
        assert (event["component"], event["kind"]) == (6, kind)
    assert np.linalg.eigvalsh(found.mixture.covariances[6])[0] < 2e-4
    assert "component 6 rests on reg_covar" in iteration_line(entry)
    assert sorted(inspect(run).events) == [
        "lies within the rounding: once",
        "rests on reg_covar: once",
    ]
    report = Path(write_report(run)).read_text("utf-8")
    assert "Component 6 rests on reg_covar (0.0001)" in report
    assert "its smallest variance is more than half reg_covar" in report
    assert "its smallest variance is less than half of what rounding the data gives" in report
    assert "Nothing degenerated" not in report


def test_a_reg_covar_that_is_not_little_beside_a_variance_is_told_before_it_is_added():
    rows = np.c_[rows_of() * [1, 1e-3, 1e-4], np.full(3000, 0.1)]
    told = (
        r"reg_covar, 1e-06, is 52 times the variance of x2 \(and more than 1% of 1 more\), whose "
        r"standard deviation is 0.000138: it is added to what is found; give a smaller reg_covar"
    )
    with pytest.warns(RegularisationWarning, match=told):
        fit(rows, Configuration(1, max_iter=1))
    fit(rows, Configuration(1, max_iter=1, reg_covar=1e-12))


def test_the_history_is_lines_of_json_and_reads_well(store, tmp_path):
    found = fit(store, Configuration(3, tol=1e-7), run=tmp_path / "run")
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == list(range(len(lines)))
    told = iteration_line(found.history[1])
    assert told.startswith("iteration 1: mean log-likelihood -")
    fallen = {**found.history[1], "events": [asdict(event) for event in fall(-1.0, -1.5)]}
    assert iteration_line(fallen).endswith("rows/s; mean log-likelihood fell by 0.5")
    assert "rows/s" in told


def test_the_newest_checkpoints_are_kept_whatever_their_likelihood(tmp_path):
    rows = rows_of()
    states = [
        run_em(statistics_of_sample(Sample.of(rows)), start([fit(rows, k).mixture]), ONE_PASS)
        for k in (1, 3, 1, 1, 1, 1)  # the second of them is by far the likeliest
    ]
    with (
        open_run(tmp_path / "run", configuration={}, fingerprint={}, seed=0) as folder,
        Journal(folder, Rhythm()) as journal,
    ):
        for iteration, state in enumerate(states):
            moved = replace(state.candidates[0], iteration=iteration)
            journal.keep(replace(state, candidates=(moved,)), {"iteration": iteration})
    kept = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == [f"it-{iteration:08d}" for iteration in (0, 3, 4, 5)]  # the first, for copies
