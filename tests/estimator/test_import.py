"""Whoever has arrays does not wait for Dask and Zarr to be imported."""

import os
import subprocess
import sys

import pytest

OURS, THEIRS = (f"from {home} import GaussianMixture" for home in ("gmm_dask", "sklearn.mixture"))


def seconds(statement):
    """Of processor time that a new process takes for it, beside what it takes to start."""
    program = f"import time\nbegan = time.process_time()\n{statement}\n"
    program += "print(time.process_time() - began)"
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    return float(run.stdout)


@pytest.mark.timed
def test_the_import_takes_little_more_than_scikit_learns():
    turns = [(seconds(OURS), seconds(THEIRS)) for _ in range(5)]
    ours, theirs = (min(column) for column in zip(*turns, strict=True))
    assert ours <= 1.2 * theirs


@pytest.mark.parametrize("package", ["dask", "distributed", "zarr", "xarray"])
def test_the_import_brings_nothing_along_that_scikit_learn_does_not(package):
    program = f"{THEIRS}\nimport sys\nbefore = '{package}' in sys.modules\n{OURS}\n"
    program += f"sys.exit(('{package}' in sys.modules) > before)"
    subprocess.run([sys.executable, "-c", program], check=True)
