"""From one look at a growing store to the next."""

import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr

from gmm_dask import Configuration, ConfigurationError, DataError, Refit
from gmm_dask.fitting.refitting.held_back import is_held_back
from gmm_dask.fitting.refitting.survey import RowsChangedError
from gmm_dask.models.model import load_model
from gmm_dask.models.versions import load_version, look_at_versions, model_place, open_versions
from gmm_dask.store.addresses import PATIENCE
from gmm_dask.store.errors import RunIsBusy, StorageError
from tests.refitting.conftest import FITTED, Store, drawn

ROOT = Path(__file__).parents[2]


def no_cluster() -> None:
    raise AssertionError("a cluster was asked for")


def driven(store: Store, *moment: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.refitting.driver", store.place, store.models]
    return subprocess.Popen(
        [*command, *map(str, moment)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def without_chunks(store: Store) -> None:
    """Nothing of the rows is left but what describes them."""
    shutil.rmtree(Path(store.place) / "c")


def test_first_fit_is_a_version_and_nothing_new_reads_nothing(store):
    first = store.refit()
    assert (first.outcome, first.news, first.version) == ("promoted", "first", "v0001")
    assert load_model(model_place(store.models, "v0001")).mixture.components == 3
    pointer = Path(store.models, "current.json")
    before = pointer.read_bytes()
    without_chunks(store)
    again = store.refit(cluster=no_cluster)
    assert (again.outcome, again.version, again.run) == ("nothing new", "v0001", None)
    assert pointer.read_bytes() == before


def test_appended_rows_are_looked_at_alone_and_fitted_on(store):
    started = store.refit().fit
    store.append(drawn(2000, 1))
    found = store.refit(margin=0)
    assert (found.news, found.rows, found.new_rows) == ("appended", 6000, 2000)
    assert found.drift.rows == 2000
    assert abs(found.drift.drop) < 5 * found.drift.error + 0.1
    assert found.alarms == ()
    assert np.allclose(found.drift.shares, found.drift.shares_expected, atol=0.05)
    # Fitted on from where it was: the first pass is as good as the last one was before.
    assert found.fit.history[0]["mean_log_likelihood"] > started.mean_log_likelihood - 0.05
    assert store.refit(margin=0).outcome == "nothing new"


def test_held_back_rows_are_seen_by_no_fit_and_decide(store):
    store.refit()
    store.append(drawn(2000, 1))
    found = store.refit(margin=0)
    rows = np.asarray(store.array)
    weight = found.fit.statistics.weight
    assert 0.07 * len(rows) < len(rows) - weight < 0.13 * len(rows)
    assert found.comparison.rows == len(rows) - weight
    # Whatever the rows held back are, a fit without them is what was compared and promoted.
    held = is_held_back(0, len(rows), 0.1)
    after = found.fit.mixture.log_density(rows[held]).mean()
    assert found.comparison.after == pytest.approx(after, abs=1e-12)
    rows[held] = 1e3  # neither the current model nor the new one has seen them
    other = Store(f"{store.place}-spoilt", f"{store.models}-spoilt")
    other.write(rows[:4000])
    other.refit()
    other.append(rows[4000:])
    spoilt = other.refit(margin=0)
    assert np.array_equal(spoilt.fit.mixture.means, found.fit.mixture.means)


def test_shifted_rows_alarm_and_the_fit_that_knows_them_is_promoted(store, caplog):
    store.refit()
    store.append(drawn(1000, 1, shift=4.0))
    with caplog.at_level("WARNING", logger="gmm_dask"):
        found = store.refit()
    assert found.drift.drop > 1
    assert found.drift.outlier_share > 0.5
    assert len(found.alarms) == 2
    assert all(any(alarm in told for told in caplog.messages) for alarm in found.alarms)
    assert (found.outcome, found.version) == ("promoted", "v0002")
    decided = look_at_versions(store.models).decisions[-1]
    assert decided["alarms"] == list(found.alarms)


def test_one_new_row_that_is_held_back_is_no_trouble(store):
    count = 4000 + int(is_held_back(4000, 200, 0.1).argmax())
    store.append(drawn(count - 4000, 1))
    store.refit()
    store.append(drawn(1, 2))
    found = store.refit()
    assert (found.outcome, found.drift.rows) == ("kept", 1)


def test_a_larger_share_held_back_favours_who_has_seen_it_and_is_warned_of(store, caplog):
    store.refit(held_back=0.05)
    with caplog.at_level("WARNING", logger="gmm_dask"):
        store.refit(held_back=0.2)
    assert "v0001 has seen some of the rows that are held back now" in caplog.text


def test_few_rows_are_no_alarm_by_chance(store):
    store.refit()
    store.append(drawn(3, 1) + np.array([[4.0, 0, 0], [0, 0, 0], [0, 0, 0]]))
    assert store.refit(drift_alarm=0.1, outlier_alarm=0.2).alarms == ()


def test_a_model_that_is_not_better_by_the_margin_is_not_promoted(store):
    store.refit()
    before = store.digest()
    store.append(drawn(2000, 1))
    found = store.refit(margin=0.5)
    assert (found.outcome, found.version) == ("kept", "v0001")
    assert found.comparison.gain < 0.5
    assert store.digest() == before
    assert store.refit(margin=0.5).outcome == "nothing new"  # it is not tried every night
    with pytest.raises(StorageError, match="keeps no version 'v0002'"):
        load_version(store.models, "v0002")
    # Another margin is another question, and the fit that answers it is there already.
    asked_again = store.refit(margin=0)
    assert (asked_again.news, asked_again.run) == ("settings", found.run)


def test_other_settings_begin_anew_where_they_must(store):
    store.refit()
    found = store.refit(Configuration(2, covariance="diag"))
    assert (found.news, found.outcome, found.version) == ("settings", "kept", "v0001")
    better = store.refit(Configuration(3, covariance="spherical"), margin=0)
    assert better.fit.mixture.family == "spherical"


def test_rollback_is_noted_and_stays_until_rows_come(store):
    store.refit()
    first = store.digest()
    store.append(drawn(1000, 1, shift=2.0))
    store.refit()
    with open_versions(store.models) as held:
        held.roll_back("v0001")
    assert store.digest() == first
    assert store.refit().outcome == "nothing new"
    assert [one["outcome"] for one in look_at_versions(store.models).decisions] == [
        "promoted",
        "promoted",
        "rolled back",
    ]
    store.append(drawn(500, 2, shift=2.0))
    assert store.refit().version == "v0003"
    with open_versions(store.models) as held, pytest.raises(StorageError, match="kept are v0001"):
        held.roll_back("v0009")


def test_old_versions_and_runs_are_removed(store):
    for night in range(4):
        store.append(drawn(500, night, shift=2.0 * night))
        assert store.refit(keep=2).version == f"v000{night + 1}"
    names = {path.name for path in Path(store.models).iterdir()}
    assert names == {".lock", "current.json", "runs", "v0003", "v0004"}
    assert len(list(Path(store.models, "runs").iterdir())) == 2
    assert len(look_at_versions(store.models).decisions) == 4


@pytest.mark.parametrize("moment", [("iteration", 2), ("promoting",)])
def test_killed_and_started_again_ends_with_the_same_bits(store, moment):
    store.refit()
    store.append(drawn(2000, 1, shift=1.0))
    copied = f"{store.models}-undisturbed"
    shutil.copytree(store.models, copied)
    undisturbed = Store(store.place, copied)
    undisturbed.refit()
    first = store.digest()
    with driven(store, *moment) as struck:
        assert struck.wait(timeout=120) == -signal.SIGKILL
    assert store.digest() == first  # a whole model, at any moment
    resumed = []
    found = store.refit(callbacks=[lambda told: resumed.append(told.state.iteration)])
    assert (found.outcome, found.version) == ("promoted", "v0002")
    assert resumed == [] if moment[0] == "promoting" else resumed[0] >= 2
    assert store.digest() == undisturbed.digest()


def test_of_two_at_once_one_leaves(store):
    holding = driven(store, "hold")
    try:
        assert holding.stdout.readline() == "holding\n"
        with pytest.raises(RunIsBusy, match=f"process {holding.pid}"):
            store.refit()
    finally:
        holding.communicate("go on\n", timeout=120)
    assert holding.returncode == 0
    assert store.refit().outcome == "nothing new"
    assert len(look_at_versions(store.models).decisions) == 1


def test_rows_that_changed_or_shrank_are_refused_or_fitted_anew(store):
    store.refit()
    store.array.resize((3000, 3))
    with pytest.raises(RowsChangedError, match=r"its rows were \[0, 4000\] and are \[0, 3000\]"):
        store.refit()
    found = store.refit(changed="refit")
    assert (found.news, found.new_rows) == ("changed", 3000)


def test_earlier_rows_that_changed_while_others_came_are_found_out(store):
    store.refit()
    before = store.digest()
    store.array[:1000] = drawn(1000, 7)
    store.append(drawn(500, 1))
    with pytest.raises(RowsChangedError, match="not what they were"):
        store.refit()
    assert store.digest() == before
    with pytest.raises(RowsChangedError):
        store.refit()


def test_what_is_advised_of_appended_rows_that_are_not_finite_is_taken(store):
    store.refit()
    unfit = drawn(500, 1)
    unfit[[3, 77], 1] = np.nan
    store.append(unfit)
    with pytest.raises(DataError, match='pass nonfinite="skip" to leave those rows out'):
        store.refit()
    found = store.refit(nonfinite="skip")
    assert (found.news, found.new_rows) == ("appended", 500)
    assert found.drift is not None
    assert store.refit(nonfinite="skip").outcome == "nothing new"
    with pytest.raises(RowsChangedError, match="its nonfinite were skip and are error"):
        store.refit()


def test_a_writer_in_the_middle_of_an_append_is_waited_for_once(store, caplog, monkeypatch):
    store.refit()
    array = store.array
    array.resize((5000, 3))
    array[4000:4500] = drawn(500, 1)
    with ThreadPoolExecutor(1) as threads:
        refit = threads.submit(store.refit)
        while "If it is being written, it is waited for" not in caplog.text:
            assert not refit.done(), refit.result()
        array[4500:] = drawn(500, 2)
        assert (refit.result().news, refit.result().new_rows) == ("appended", 1000)
    monkeypatch.setenv(PATIENCE, "1")
    store.array.resize((5500, 3))
    with pytest.raises(DataError, match="is not in the store"):
        store.refit()


def test_other_features_are_another_model(store, tmp_path):
    store.refit()
    other = Store(str(tmp_path / "wide.zarr"), store.models)
    zarr.create_array(other.place, data=np.ones((100, 4)) + np.arange(100)[:, None])
    with pytest.raises(ConfigurationError, match="folder of their own"):
        other.refit(changed="refit")


def test_rows_too_few_to_hold_any_back_are_refused(store, tmp_path):
    tiny = Store(str(tmp_path / "tiny.zarr"), store.models)
    tiny.write(drawn(8, 0))
    with pytest.raises(ConfigurationError, match="none is held back"):
        tiny.refit(Configuration(1), held_back=0.001)


def test_on_a_cluster_the_same_bits(store):
    from distributed import Client, LocalCluster

    store.refit()
    store.append(drawn(2000, 1, shift=1.0))
    copied = f"{store.models}-cluster"
    shutil.copytree(store.models, copied)
    here = store.refit()
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        there = Store(store.place, copied).refit(client=client)
    assert isinstance(there, Refit)
    assert there.drift == here.drift
    assert there.comparison == here.comparison
    assert Store(store.place, copied).digest() == store.digest()


@pytest.mark.parametrize(
    "wrong",
    [{"margin": -1}, {"held_back": 0}, {"held_back": 1}, {"keep": 0}, {"changed": "shrug"}],
)
def test_options_that_make_no_sense(store, wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        store.refit(FITTED, **wrong)
