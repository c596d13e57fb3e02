"""The flow on Prefect's own temporary server and a real local cluster, as `make fit` runs it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from gmm_dask.store.model import load_model

ROOT = Path(__file__).parents[2]


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "PREFECT" not in name}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_without_a_server_the_flow_fits_a_store_and_leaves_a_model(tmp_path):
    made = run(
        *("-m", "gmm_dask", "data", "make", "blobs", "--out", "rows.zarr"),
        *("--rows", "20000", "--features", "3", "--components", "3", "--chunk-rows", "2000"),
        folder=tmp_path,
    )
    assert made.returncode == 0, made.stderr
    arguments = ["rows.zarr", "--components", "3", "--run", "runs/blobs", "--workers", "2"]
    first = run("-m", "flows.fit_mixture", *arguments, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "runs/blobs/model.zarr" in first.stdout
    assert "iteration 1: mean log-likelihood" in first.stderr
    assert (tmp_path / "runs" / "prefect").is_dir()
    model = load_model(tmp_path / "runs" / "blobs" / "model.zarr")
    assert model.mixture.components == 3
    assert np.isfinite(model.provenance["bic"])
