"""A run that is not finished: it has no model, and what is told of going on with it is true."""

import os
import secrets

import numpy as np
import pytest

from gmm_dask import Configuration, fit, select
from gmm_dask.cli.watch import silence
from gmm_dask.report.reported_run import reported_run
from gmm_dask.runs.inspection import inspect, model_at
from gmm_dask.runs.resumption import kept_of_fit
from gmm_dask.runs.view import look_at_run
from gmm_dask.store.errors import KeyMissingError
from tests.store.conftest import kind, s3_bucket, where  # noqa: F401  the fixtures

ROWS = np.random.default_rng(0).normal(size=(400, 2)) + np.repeat([[0.0], [6.0]], 200, 0)


class StopError(Exception):
    """The driver is gone."""


def stop_at(iteration):
    def stop(progress):
        if progress.state.iteration == iteration:
            raise StopError

    return stop


def begun_again(run, iteration):
    """A finished run, and another attempt that was ended on its way."""
    fit(ROWS, Configuration(3), run=run)
    with pytest.raises(StopError):
        fit(ROWS, Configuration(2), run=run, restart=True, callbacks=[stop_at(iteration)])


def test_the_model_of_the_attempt_before_is_not_that_of_an_unfinished_one(where):  # noqa: F811
    begun_again(where, 1)
    with pytest.raises(KeyMissingError, match="has no model yet: it is not finished"):
        model_at(where)
    fit(ROWS, Configuration(2), run=where)
    assert model_at(where).mixture.components == 2


def test_before_its_first_checkpoint_an_attempt_shows_no_mixture(where):  # noqa: F811
    begun_again(where, 0)
    attempt = look_at_run(where).folder
    for key in attempt.list("checkpoints"):
        attempt.delete(key)
    assert reported_run(where).mixture is None
    assert inspect(where).mixture is None


def test_no_command_applies_the_model_of_the_attempt_before(shell, s3_bucket):  # noqa: F811
    run, environment = f"{s3_bucket}/{secrets.token_hex(4)}/run", dict(os.environ)
    begun_again(run, 1)
    make = "data make blobs --rows 400 --features 2 --components 2 --out b.zarr"
    shell(*make.split()).well()
    for words in (
        ("score", run, "b.zarr", "--out", "scores.zarr"),
        ("verify", run, "b.zarr"),
        ("sample", run, "--rows", 9, "--out", "drawn.zarr"),
    ):
        assert "has no model yet" in shell(*words, **environment).refused()


def test_a_configuration_is_named_only_where_there_is_one(shell):
    make = "data make blobs --rows 2000 --features 2 --components 2 --out b.zarr"
    shell(*make.split()).well()
    source, run = str(shell.folder / "b.zarr"), str(shell.folder / "run")
    asked = {"array": "rows", "callbacks": [stop_at(2)]}
    with pytest.raises(StopError):
        fit(source, Configuration(2, tol=0.0), run=run, **asked)
    told = shell("score", run, "b.zarr", "--out", "scores.zarr").refused()
    assert "config.toml" not in told
    assert "the command, flow or call that began it goes on with it" in told
    assert "config.toml" not in silence(run, 99)
    assert "config.toml" not in kept_of_fit(run)
    (shell.folder / "run" / "config.toml").write_text(
        f'source = "{source}"\nrun = "{run}"\n[mixture]\ncomponents = 2\ntol = 0\n'
    )
    told = shell("score", run, "b.zarr", "--out", "scores.zarr").refused()
    assert f"`gmm-dask fit --config {run}/config.toml` goes on with it" in told
    assert f"`gmm-dask fit --config {run}/config.toml`" in silence(run, 99)
    shell("fit", "--config", f"{run}/config.toml").well()


def test_of_a_selection_no_fit_is_advised(tmp_path):
    run = str(tmp_path / "run")
    with pytest.raises(StopError):
        select(ROWS, [1, 2], run=run, callbacks=[stop_at(1)])
    with pytest.raises(KeyMissingError, match="the command, flow or call that began it"):
        model_at(run)
