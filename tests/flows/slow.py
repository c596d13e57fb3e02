"""A fit that is slow enough to be struck in the middle, run by a deployment."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil

from gmm_dask.data.synthetic import make, recipe_named
from gmm_dask.fitting.jobs import fit_job, open_job
from gmm_dask.models.model import load_model
from gmm_dask.runs.checkpoint import complete_iterations
from gmm_dask.settings.job import Job, job_from
from gmm_dask.store.location import open_folder
from tests.flows.asking import Asking
from tests.flows.servers import until

SLOW = {"components": 8, "covariance": "full", "tol": 0.0, "max_iter": 400, "accelerate": "none"}
"""Some ten seconds of many short iterations."""


def stored(folder: Path) -> Path:
    """Rows for a quick fit and for a slow one."""
    for name, count, width in (("small", 20_000, 3), ("slow", 200_000, 8)):
        make(recipe_named("blobs", width, 4, 0), str(folder / f"{name}.zarr"), count, seed=1)
    return folder


def slow_job(rows: Path) -> Job:
    """The slow fit as a job of the library."""
    asked = {"source": str(rows / "slow.zarr"), "mixture": SLOW, "rows": {"array": "rows"}}
    return job_from(asked)


def undisturbed_bits(rows: Path, folder: Path) -> list[bytes]:
    """What it finds if nobody strikes, in this process."""
    fit_job(open_job(replace(slow_job(rows), run=str(folder / "run"))))
    return bits(folder / "run")


def bits(run: Path | str) -> list[bytes]:
    """What a run has found, to the last bit."""
    mixture = load_model(f"{run}/model.zarr").mixture
    return [part.tobytes() for part in (mixture.weights, mixture.means, mixture.covariances)]


def ask_slow(asking: Asking, rows: Path, name: str, **more: Any) -> UUID:
    """Start it by its deployment."""
    return asking.run(
        "fit-mixture/fit",
        source=str(rows / "slow.zarr"),
        mixture=SLOW,
        run=name,
        rows={"array": "rows"},
        **more,
    )


def begin_slow(asking: Asking, rows: Path, name: str, **more: Any) -> UUID:
    """Start it, and wait until it is in the middle."""
    run = ask_slow(asking, rows, name, **more)
    until(lambda: iterations(asking, name) >= 3, 120, f"the first iterations of {name}")
    return run


def iterations(asking: Asking, name: str) -> int:
    """How far a run has come: the newest iteration that is kept."""
    folder = asking.platform.runs / name
    kept = complete_iterations(open_folder(str(folder))) if folder.exists() else []
    return kept[-1] if kept else 0


def flow_process(run: UUID) -> psutil.Process | None:
    """The process of a flow run, which a worker has started."""
    for process in psutil.process_iter(["cmdline", "environ"]):
        told = (process.info["environ"] or {}).get("PREFECT__FLOW_RUN_ID", "")
        command = " ".join(process.info["cmdline"] or [])
        if told.replace("-", "") == run.hex and "prefect.engine" in command:
            return process
    return None
