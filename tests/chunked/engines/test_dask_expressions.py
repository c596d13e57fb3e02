"""Dask's new array engine (DASK_ARRAY__QUERY_PLANNING=True) gives what the old one gives."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import dask.array
import dask.dataframe
import numpy as np
import pandas
import pytest

from gmm_dask import Configuration, fit
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.scoring import lazy
from tests.chunked.conftest import local_cluster

VALUES = np.random.default_rng(5).normal(size=(1003, 3)) + np.arange(1003)[:, None] % 2 * 4
WEIGHTS = np.linspace(1, 2, 1003)
FUNCTIONS = ("labels", "responsibilities", "log_density", "log_joint")


def arrays() -> Iterator[tuple[str, object, dict[str, object]]]:
    known = dask.array.from_array(VALUES, chunks=(100, 2))
    yield "known", known, {}
    longer = dask.array.from_array(np.repeat(VALUES, 2, axis=0), chunks=(200, 3))
    unknown = ((np.nan,) * 11, (3,))
    yield "unknown", longer.map_blocks(every_second, chunks=unknown, dtype="f8"), {}
    heights = dask.array.from_array(WEIGHTS, chunks=100)
    yield "weights and features", known, {"weights": heights, "features": [2, 0]}
    yield "range", known, {"rows": slice(30, 977)}
    yield "frame", dask.dataframe.from_pandas(pandas.DataFrame(VALUES), npartitions=4), {}
    yield "one dimension", dask.array.from_array(VALUES[:, 0].copy(), chunks=70), {}


def every_second(block: np.ndarray) -> np.ndarray:
    return block[::2]


def told() -> dict[str, list[float]]:
    """Everything, in numbers."""
    numbers: dict[str, list[float]] = {}

    def note(mixture: Mixture) -> list[float]:
        return np.concatenate([mixture.means, mixture.covariances], axis=None).tolist()

    with local_cluster(2) as client:
        for name, source, opening in arrays():
            for where in (client, None):
                made = fit(source, Configuration(2), client=where, **opening)
                numbers[f"{name}, {'cluster' if where else 'here'}"] = note(made.mixture)
            if "features" not in opening:
                numbers |= {
                    f"{name}, {function}": np.ravel(
                        getattr(lazy, function)(source, made.mixture).compute()
                    ).tolist()
                    for function in FUNCTIONS
                }
    return numbers


def as_json(engine: str) -> dict[str, list[float]]:
    environment = {**os.environ, "DASK_ARRAY__QUERY_PLANNING": engine}
    command = [sys.executable, "-m", "tests.chunked.engines.test_dask_expressions"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    read: dict[str, list[float]] = json.loads(run.stdout.splitlines()[-1])
    assert read.pop("new") == [float(engine == "True")]
    return read


@pytest.mark.timeout(600)
def test_the_new_engine_gives_the_bits_of_the_old() -> None:
    old, new = as_json("False"), as_json("True")
    assert len(old) == 6 * 2 + 5 * 4
    assert old == new


if __name__ == "__main__":
    new = "_array_expr" in type(dask.array.ones(1)).__module__
    sys.stdout.write(json.dumps({**told(), "new": [float(new)]}) + "\n")
