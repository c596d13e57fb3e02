"""Dask's own report beside ours."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from distributed import Client

from gmm_dask import Configuration, ConfigurationError, fit
from gmm_dask.settings import toml
from gmm_dask.settings.job import Job, job_from

K = Configuration(2, max_iter=3)


def test_it_is_kept_in_the_run_folder(client: Client, stored: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit(stored, K, client=client, run=run, performance_report=True)
    text = (run / "performance.html").read_text("utf-8")
    assert "Dask Performance Report" in text
    assert "sweep" in text
    needed = r'<(?:script|link rel="stylesheet")[^>]*https?://'
    assert not re.findall(needed, text), "it works offline"
    before = (run / "performance.html").stat().st_mtime_ns
    fit(stored, K, client=client, run=run, performance_report=True)
    assert (run / "performance.html").stat().st_mtime_ns == before, "a finished run is left alone"


def test_a_fit_that_fails_keeps_it_too(client: Client, stored: str, tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        fit(stored, K, client=client, run=tmp_path, performance_report=True, callbacks=[fail])
    assert (tmp_path / "performance.html").exists()


def test_it_needs_a_cluster_and_a_place(client: Client, stored: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="kept in the run folder, and this fit has none"):
        fit(stored, K, client=client, performance_report=True)
    command = [sys.executable, "-m", "gmm_dask", "fit", stored, "-k", "2", "--performance-report"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is of a Dask cluster, and this fit has none" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "runs").exists()


def test_it_can_be_asked_for_in_a_file(stored: str) -> None:
    text = f'source = "{stored}"\nperformance_report = true\n[mixture]\ncomponents = 2\n'
    job = job_from(toml.read(text, Job, "job.toml"))
    assert job.performance_report
    assert "performance_report = true" in job.as_toml()
