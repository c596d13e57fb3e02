"""The flow on Prefect's own temporary server and a real local cluster, and `make fit`."""

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from gmm_dask import load_overlap
from gmm_dask.models.model import load_model

ROOT = Path(__file__).parents[2]


def environment(folder: Path) -> dict[str, str]:
    """That of someone who has never heard of Prefect."""
    known = {name: value for name, value in os.environ.items() if "PREFECT" not in name}
    return known | {"PYTHONPATH": str(ROOT), "HOME": str(folder)}


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(folder),
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
    asked = 'source = "rows.zarr"\noverlap = true\n[mixture]\nnoise = "box"\n'
    (tmp_path / "asked.toml").write_text(asked)
    arguments = ["--components", "3", "--run", "runs/blobs", "--workers", "2"]
    arguments += ["--config", "asked.toml"]
    first = run("-m", "flows.fit_mixture", *arguments, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "runs/blobs/model.zarr" in first.stdout
    assert "iteration 1: mean log-likelihood" in first.stderr
    assert (tmp_path / "runs" / "prefect").is_dir()
    model = load_model(tmp_path / "runs" / "blobs" / "model.zarr")
    assert model.mixture.components == 3
    assert model.mixture.noise.box.shape == (2, 3)
    assert np.isfinite(model.provenance["bic"])
    assert load_overlap(tmp_path / "runs" / "blobs").tree().components == 3


def got(address: str) -> str:
    """What a browser on this machine gets."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=60) as page:
        return page.read().decode("utf-8")


@pytest.mark.needs("make")
@pytest.mark.timeout(900)
def test_the_first_run_is_what_it_says(tmp_path):
    """`make fit` at a sixtieth of its size, looked at while it runs as it asks to be."""
    for name in ("Makefile", "data", "flows"):
        (tmp_path / name).symlink_to(ROOT / name)
    told: list[str] = []
    dashboard = cluster = page = ""
    asked = ["make", "--no-print-directory", "fit", "-o", "setup"]
    with subprocess.Popen(
        [*asked, f"RUN={sys.executable}", "ROWS=50000"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as made:
        for line in made.stdout:
            told.append(line.rstrip("\n"))
            if found := re.search(r"dashboard: (http://127\.0\.0\.1:\d+)/gmm$", told[-1]):
                dashboard, cluster = found[1], got(f"{found[1]}/json/identity.json")
            elif dashboard and "iteration 3: mean log-likelihood" in line:
                page = got(f"{dashboard}/gmm")
    assert made.returncode == 0, "\n".join(told)
    assert "Mixtures" in page
    workers = json.loads(cluster)["workers"].values()
    assert len(workers) == 2
    assert all(worker["nanny"] for worker in workers)  # each is a process of its own
    assert sum("accelerated" in line for line in told) > 40
    end = told[next(i for i, line in enumerate(told) if "== What was found" in line) :]
    assert any(line.startswith("report ") and line.endswith("/report.html") for line in end)
    assert any(line.startswith("at the most: weights 0.") for line in end)
    *_, last, plain, score = end
    assert (tmp_path / re.search(r"open (\S+)\. To try next:", last)[1]).exists()
    for command, fewer in ((plain, ["--max-iter", "1"]), (score, [])):
        python, *arguments = shlex.split(command, comments=True)
        assert python == sys.executable
        assert run(*arguments, *fewer, folder=tmp_path).returncode == 0
