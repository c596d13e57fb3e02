"""A run goes on on another type of processor: the data must be equal, the bits need not be."""

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import zarr

from flows.jobs import with_run
from gmm_dask import Configuration, fit
from gmm_dask.chunked.rows import open_rows
from gmm_dask.chunked.sources.opening import open_source
from gmm_dask.doctor.cluster import same_processors
from gmm_dask.fitting.jobs import OpenJob
from gmm_dask.runs.inspection import inspect
from gmm_dask.settings.job import Job
from gmm_dask.settings.rows import RowOptions
from gmm_dask.store.errors import RunDiffersError
from gmm_dask.store.sealed import seal, unseal
from tests.chunked.conftest import local_cluster

pytestmark = pytest.mark.filterwarnings("ignore:.*begun with other versions")
X86 = platform.machine() == "x86_64"
OLDER = {
    "OPENBLAS_CORETYPE": "Nehalem" if X86 else "ARMV8",
    "NUMBA_CPU_NAME": "generic",
}
"""As an older processor would have these libraries choose."""


@pytest.fixture
def rows(tmp_path: Path) -> str:
    random = np.random.default_rng(4)
    values = random.normal(size=(6000, 40)) @ random.normal(size=(40, 40)) + 50.0
    zarr.create_array(tmp_path / "rows.zarr", data=values, chunks=(700, 40))
    return str(tmp_path / "rows.zarr")


def configuration(iterations: int) -> Configuration:
    return Configuration(6, tol=0.0, max_iter=iterations, accelerate=None, seed=2)


def older(code: str, *arguments: str) -> str:
    """What a script prints on what passes for an older processor."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    environment = {**os.environ, **OLDER}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


INTERRUPTED = """
import sys
from gmm_dask import Configuration, fit

class Stop(BaseException):
    pass

def stop(progress):
    if progress.state.iteration == 4:
        raise Stop

try:
    fit(
        sys.argv[1],
        Configuration(6, tol=0.0, max_iter=12, accelerate=None, seed=2),
        run=sys.argv[2],
        callbacks=[stop],
    )
except Stop:
    pass
"""


def test_a_run_goes_on_where_processors_are_of_another_type(rows: str, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    older(INTERRUPTED, rows, run)
    went_on = fit(rows, configuration(12), run=run)
    alone = fit(rows, configuration(12))
    for name in ("weights", "means", "covariances"):
        one, other = getattr(went_on.mixture, name), getattr(alone.mixture, name)
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    found = inspect(run)
    told = [e for line in found.history for e in line["events"] if e["kind"] == "processors"]
    assert len(told) >= 1
    assert all("goes on on another type of processor" in event["reason"] for event in told)
    assert "processors" in " ".join(found.events)


ONE_PASS = """
import sys, json
from gmm_dask.fitting.fit import evaluate
from gmm_dask.models.model import load_model
from gmm_dask.chunked.processors import processor
s = evaluate(sys.argv[1], load_model(sys.argv[2]).mixture)
told = {name: getattr(s, name).tolist() for name in ("counts", "means", "scatter")}
print(json.dumps({**told, "processor": processor()}))
"""


def test_a_pass_agrees_to_1e_12_on_unlike_processors(rows: str, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    fit(rows, configuration(5), run=run)
    asked = (rows, f"{run}/model.zarr")
    there = json.loads(older(ONE_PASS, *asked))
    command = [sys.executable, "-c", ONE_PASS, *asked]
    here = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert there.pop("processor") != here.pop("processor")
    assert there != here  # bits do depend on it
    for name, values in here.items():
        scale = np.abs(values).max()
        np.testing.assert_allclose(there[name], values, rtol=1e-12, atol=1e-12 * scale)


OTHER_ROWS = {
    "one value": lambda values: values.__setitem__((3, 5), values[3, 5] + 1e-9),
    "two rows changed places": lambda values: values.__setitem__([10, 20], values[[20, 10]]),
}


@pytest.mark.parametrize("change", OTHER_ROWS)
def test_rows_that_changed_are_refused_however_little(
    change: str, rows: str, tmp_path: Path
) -> None:
    run = str(tmp_path / "run")
    older(INTERRUPTED, rows, run)
    array = zarr.open_array(rows)
    values = array[...]
    OTHER_ROWS[change](values)
    array[...] = values
    with pytest.raises(RunDiffersError, match=r"values have changed \(bytes_checksum"):
        fit(rows, configuration(12), run=run)


def test_a_run_from_before_checksums_goes_on(rows: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    older(INTERRUPTED, rows, str(run))
    path = run / "profile.json"
    told = unseal(path.read_bytes(), "profile.json")
    kept = {
        name: told[name] for name in told if name not in ("bytes_checksum", "processors", "driver")
    }
    path.write_bytes(seal(kept))
    assert fit(rows, configuration(12), run=str(run)).iterations == 12


def test_unlike_workers_are_told(rows: str, tmp_path: Path) -> None:
    """One of two workers computes as an older processor would."""
    run = str(tmp_path / "run")
    with local_cluster(1) as client:
        address = client.scheduler.address
        command = [sys.executable, "-m", "dask", "worker", address, "--nthreads", "1"]
        local = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", "--no-nanny"]
        with subprocess.Popen([*command, *local], env={**os.environ, **OLDER}) as worker:
            try:
                client.wait_for_workers(2, timeout=60)
                fit(rows, configuration(3), run=run, client=client, block_bytes=300_000)
                (finding,) = same_processors(client)
            finally:
                worker.terminate()
    assert finding.level == "note"
    assert finding.told.count("1 compute with") == 2
    (told,) = [e for line in inspect(run).history for e in line["events"]]
    assert told["kind"] == "processors"
    assert "workers are of unlike types" in told["reason"]
    assert " and " in told["reason"]


@dataclass(frozen=True)
class Later(Configuration):
    """A version of the library with a field more."""

    sharpness: int = 3


@dataclass(frozen=True)
class LaterOpening(RowOptions):
    """Likewise of the rows."""

    every: int = 1


def test_a_field_more_at_its_default_starts_nothing_over(rows: str, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    older(INTERRUPTED, rows, run)
    now = configuration(12)
    later = {name: getattr(now, name) for name in now.as_dict()}
    with pytest.raises(RunDiffersError, match="sharpness"):
        fit(rows, Later(**later, sharpness=4), run=run)
    assert fit(rows, Later(**later), run=run).iterations == 12
    # The same folder for the same question, by which flows and refits name what they begin.
    job = Job(rows, now)
    same = Job(rows, Later(**later), rows=LaterOpening())
    other = Job(rows, Later(**later), rows=LaterOpening(every=2))
    source = open_source(rows)
    opened = [OpenJob(one, source, open_rows(source)) for one in (job, same, other)]
    places = [with_run(one).run for one in opened]
    assert places[0] == places[1] != places[2]
