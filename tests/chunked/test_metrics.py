"""What drivers leave for Prometheus: counted from fit to fit, whole at any time."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zarr
from prometheus_client.parser import text_string_to_metric_families

from gmm_dask import Configuration, fit
from gmm_dask.chunked.metrics.textfile import METRICS
from gmm_dask.fitting.events import model_of
from gmm_dask.fitting.jobs import refit_job
from gmm_dask.settings.job import job_from
from tests.faults.cluster import until

ROWS = np.random.default_rng(0).normal(size=(3_000, 2)) + np.repeat([[0.0], [4.0]], 1_500, axis=0)
K = Configuration(2, max_iter=5, tol=0.0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "metrics"
    made.mkdir()
    monkeypatch.setenv(METRICS, str(made))
    return made


@pytest.fixture
def stored(tmp_path: Path) -> str:
    zarr.create_array(str(tmp_path / "rows.zarr"), data=ROWS, chunks=(500, 2))
    return str(tmp_path / "rows.zarr")


def samples(folder: Path) -> dict[str, dict[str, float]]:
    """By name, and by outcome or bound; of the one file that is there."""
    (path,) = folder.glob("*.prom")
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(path.read_text("utf-8")):
        for sample in family.samples:
            last = sample.labels.get("outcome", sample.labels.get("le", ""))
            found.setdefault(sample.name.removeprefix("gmm_dask_"), {})[last] = sample.value
            assert set(sample.labels) - {"outcome", "le"} == {"model", "source"}
    return found


def places(folder: Path) -> set[tuple[str, str]]:
    found = set()
    for path in folder.glob("*.prom"):
        for family in text_string_to_metric_families(path.read_text("utf-8")):
            found |= {(each.labels["model"], each.labels["source"]) for each in family.samples}
    return found


def test_every_way_to_end_is_counted_from_fit_to_fit(
    folder: Path, stored: str, tmp_path: Path
) -> None:
    """Each with a run of its own, as of one night after another."""

    def end(problem: BaseException | None, day: int) -> None:
        def tell(progress: object) -> None:
            del progress
            (seen,) = samples(folder)["running"].values()
            assert seen == 1
            if problem is not None:
                raise problem

        fit(stored, K, run=tmp_path / "runs" / f"rows-2026-11-0{day}", callbacks=[tell])

    end(None, 1)
    end(None, 2)
    for day, problem in ((3, RuntimeError("no")), (4, KeyboardInterrupt())):
        with pytest.raises(type(problem)):
            end(problem, day)
    found = samples(folder)
    assert places(folder) == {(str(tmp_path / "runs" / "rows"), stored)}
    assert found["fits_total"] == {"finished": 2, "failed": 1, "cancelled": 1, "lost": 0}
    ended = found["ended_timestamp_seconds"]
    assert 0 == ended["lost"] < ended["finished"] < ended["failed"] < ended["cancelled"]
    assert time.time() - ended["cancelled"] < 60
    assert found["running"] == {"": 0}
    assert found["iterations_total"] == {"": 6 + 6}
    passes = found["pass_seconds_count"][""]
    assert passes == found["pass_seconds_bucket"]["+Inf"] >= 14 + 4
    assert found["pass_seconds_bucket"]["3600.0"] == passes
    assert 0 < found["pass_seconds_sum"][""] < 60
    assert found["rows_total"][""] == passes * len(ROWS)
    assert found["bytes_total"][""] == passes * ROWS.nbytes


def test_what_refits_decide(folder: Path, stored: str, tmp_path: Path) -> None:
    models = str(tmp_path / "models" / "night")
    asked = {"source": stored, "models": models, "mixture": {"components": 2, "max_iter": 20}}
    job = job_from(asked)
    refit_job(job)
    refit_job(job)
    array = zarr.open_array(stored)
    array.append(ROWS[:500] + 20)
    refit_job(job)
    array.append(ROWS[:50])
    refit_job(job_from({**asked, "refit": {"margin": 1e9}}))
    array.resize((100, 2))
    with pytest.raises(Exception, match="is not the table"):
        refit_job(job)
    found = samples(folder)
    assert places(folder) == {(models, stored)}, "a fit of a refit is one of its model"
    decided = {"promoted": 2, "kept": 1, "nothing new": 1, "failed": 1}
    assert found["refits_total"] == decided
    assert found["fits_total"]["finished"] == 3
    when = found["refit_timestamp_seconds"]
    assert when["nothing new"] < when["promoted"] < when["kept"] < when["failed"]
    assert found["drift_alarms"] == {"": 0}


MANY = """
import sys
import numpy as np
from gmm_dask import Configuration, fit
rows = np.random.default_rng(0).normal(size=(50, 1))
for _ in range(10):
    fit(rows, Configuration(1, max_iter=1))
"""


def test_many_at_once_lose_nothing_and_are_read_whole(folder: Path) -> None:
    command = [sys.executable, "-c", MANY]
    processes = [subprocess.Popen(command) for _ in range(2)]
    while any(each.poll() is None for each in processes):
        if list(folder.glob("*.prom")):
            assert samples(folder)["running"][""] in (0, 1)
        time.sleep(0.02)
    assert [each.returncode for each in processes] == [0] * 2
    assert samples(folder)["fits_total"]["finished"] == 20


def test_a_driver_that_is_killed_is_left_as_running(
    folder: Path, stored: str, tmp_path: Path
) -> None:
    """On a cluster of its own; nobody but the file can tell that it is silent."""
    command = [sys.executable, "-m", "gmm_dask", "fit", stored, "-k", "3", "--tol", "0"]
    command += ["--max-iter", "1000000", "--workers", "1", "--out", str(tmp_path / "killed")]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        until(lambda: list(folder.glob("*.prom")) and samples(folder)["iterations_total"][""] > 3)
        os.killpg(process.pid, signal.SIGKILL)
    found = samples(folder)
    assert found["running"][""] == 1
    assert found["begun_timestamp_seconds"][""] < found["news_timestamp_seconds"][""]
    assert found["begun_timestamp_seconds"][""] < found["checkpoint_timestamp_seconds"][""]


def test_a_folder_that_cannot_be_written_costs_a_word(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.rmdir()
    for _ in range(2):
        fit(ROWS, K)
    warnings = [record.message for record in caplog.records if METRICS in record.message]
    assert len(warnings) == 1
    assert str(folder) in warnings[0]


@pytest.mark.timed
def test_whoever_holds_the_folder_holds_no_fit(folder: Path) -> None:
    fit(ROWS, K)
    with (folder / ".gmm_dask.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began = time.monotonic()
        fit(ROWS, K)
        assert time.monotonic() - began < 20
    assert samples(folder)["fits_total"]["finished"] == 1


def test_a_file_of_anybody_is_begun_anew(folder: Path) -> None:
    fit(ROWS, K)
    (path,) = folder.glob("*.prom")
    path.write_bytes(b"\xff\x00 gmm_dask_fits_total{} x\n" * 3)
    fit(ROWS, K)
    assert samples(folder)["fits_total"]["finished"] == 1


def test_names_hold_what_labels_cannot(folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / 'a "b" \\c,outcome="x"}\n# d' / "e"
    for _ in range(2):
        fit(ROWS, K, run=odd, restart=True)
    assert [model for model, _ in places(folder)] == [str(odd)]
    assert samples(folder)["fits_total"]["finished"] == 2


def test_of_nobody_who_did_not_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(METRICS, raising=False)
    monkeypatch.chdir(tmp_path)
    fit(ROWS, K)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("run", "model"),
    [
        ("/data/runs/blobs", "/data/runs/blobs"),
        ("/data/runs/blobs-2026-11-27", "/data/runs/blobs"),
        ("/data/runs/blobs-2026-11-27-3", "/data/runs/blobs"),
        ("s3://b/runs/blobs-0123456789ab", "s3://b/runs/blobs"),
        ("s3://b/models/blobs/runs/0123456789abcdef", "s3://b/models/blobs"),
        ("/data/runs/", "/data/runs"),
        (None, "unnamed"),
    ],
)
def test_a_model_has_the_same_name_every_night(run: str | None, model: str) -> None:
    assert model_of(run) == model
