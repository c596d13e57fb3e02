"""A family of one's own is a file and a line: all that is done with a mixture is done with it."""

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gmm_dask import (
    Configuration,
    Mixture,
    fit,
    load_model,
    save_model,
    score,
    select,
    verify,
)
from gmm_dask.cli.main import main
from gmm_dask.fitting.run_loop import Progress
from gmm_dask.mixture.covariance import FAMILIES, family_names, register
from gmm_dask.mixture.formulas import FORMULAS, Formulas, diagonals
from gmm_dask.mixture.refusals import Refusal
from tests.chunked.conftest import local_cluster

PLACE = "tests.mixture.toy_family:TOY"
BY_THE_BOOK = Formulas(
    lambda s, n, _: np.array([diagonals(s).sum() / (s.shape[-1] * n.sum())]),
    lambda m: np.array([diagonals(m).sum()]),
    lambda m: np.array([diagonals(m).mean()]),
)
Command = Callable[..., str]


pytestmark = pytest.mark.usefixtures("no_client")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person with a family of their own writes, until the test is over."""
    monkeypatch.setattr(FAMILIES, "_things", dict(FAMILIES._things))
    register("toy", PLACE)


@pytest.fixture
def rows() -> NDArray[np.float64]:
    random = np.random.default_rng(7)
    return random.normal(size=(900, 2)) + 2.5 * random.integers(0, 3, (900, 1))


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """The command line, in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")

    def run(*arguments: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["gmm-dask", "-q", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert (ended.value.code or 0) == code, captured.err
        return captured.out

    return run


class Interrupted(BaseException):
    """As Ctrl-C."""


def interrupt(progress: Progress) -> None:
    if progress.state.iteration == 4:
        raise Interrupted


def bits(mixture: Mixture) -> tuple[bytes, ...]:
    return tuple(a.tobytes() for a in (mixture.weights, mixture.means, mixture.covariances))


def plain_em(rows: NDArray[np.float64], start: Mixture, iterations: int) -> tuple[NDArray, ...]:
    """EM as it is written on a blackboard."""
    weights, means, variance = start.weights, start.means, float(start.covariances[0])
    for _ in range(iterations):
        squares = ((rows[:, None] - means) ** 2).sum(axis=2)
        densities = weights * np.exp(-0.5 * squares / variance)
        r = densities / densities.sum(axis=1, keepdims=True)
        weights, means = r.mean(axis=0), (r.T @ rows) / r.sum(axis=0)[:, None]
        squares = ((rows[:, None] - means) ** 2).sum(axis=2)
        variance = float((r * squares).sum() / rows.size)
    return weights, means, np.array([variance])


@pytest.mark.parametrize("accelerate", [None, "auto", "squarem", "anderson"])
@pytest.mark.usefixtures("known")
def test_it_is_fitted_to_the_optimum_of_plain_em(rows, accelerate):
    start = Mixture([0.3, 0.3, 0.4], [[0, 0], [2, 2], [5, 5]], [1.0], "toy")
    asked = Configuration(3, "toy", tol=1e-13, max_iter=500, reg_covar=0, accelerate=accelerate)
    found = fit(rows, asked, initial=start).mixture
    for one, other in zip(
        (found.weights, found.means, found.covariances), plain_em(rows, start, 500), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4)
    assert found.covariances.shape == (1,)
    assert found.parameter_count == 2 + 6 + 1


@pytest.mark.usefixtures("known")
def test_it_is_true_to_the_textbook(rows, monkeypatch):
    mixture = fit(rows, Configuration(3, "toy", max_iter=3)).mixture
    with pytest.raises(Refusal, match="no formulas of toy covariances"):
        verify(mixture, rows)
    monkeypatch.setitem(FORMULAS, "toy", BY_THE_BOOK)
    assert verify(mixture, rows).holds, verify(mixture, rows)
    alone = fit(rows[:, :1], Configuration(2, "toy", max_iter=3)).mixture
    assert verify(alone, rows[:, :1]).holds, verify(alone, rows[:, :1])


@pytest.mark.parametrize("degenerate", ["floor", "reseed", "drop"])
@pytest.mark.usefixtures("known")
def test_its_degenerate_components_are_treated_as_asked(rows, degenerate):
    few = np.concatenate([rows[:40], [[1e4, 1e4]]])
    asked = Configuration(8, "toy", init="random_from_data", degenerate=degenerate)
    assert np.isfinite(fit(few, asked).mean_log_likelihood)


@pytest.mark.usefixtures("known")
def test_it_is_selected_among_others_in_the_same_passes(rows):
    selection = select(rows, (2, 3), ("toy", "spherical", "full"), tol=1e-6)
    assert selection.best.mixture.family == "toy"
    assert {choice.covariance for choice in selection.table} == {"toy", "spherical", "full"}


@pytest.mark.parametrize("accelerate", [None, "auto"])
@pytest.mark.usefixtures("known")
def test_it_is_interrupted_and_resumed_with_the_same_bits(rows, tmp_path, accelerate):
    asked = Configuration(3, "toy", tol=0, max_iter=12, accelerate=accelerate)
    whole = fit(rows, asked)
    with pytest.raises(Interrupted):
        fit(rows, asked, run=tmp_path / "run", callbacks=[interrupt])
    assert bits(fit(rows, asked, run=tmp_path / "run").mixture) == bits(whole.mixture)


@pytest.mark.usefixtures("known")
def test_it_is_saved_loaded_and_scored(rows, tmp_path):
    mixture = fit(rows, Configuration(3, "toy")).mixture
    save_model(mixture, tmp_path / "model.zarr", feature_names=("a", "b"), provenance={})
    kept = load_model(tmp_path / "model.zarr").mixture
    assert bits(kept) == bits(mixture)
    scores = score(kept, rows, tmp_path / "scores.zarr")
    assert scores.rows == len(rows)
    drawn, _ = kept.conditional({0: 0.0}).sample(5, np.random.default_rng(0))
    assert drawn.shape == (5, 1)


@pytest.mark.usefixtures("known")
def test_it_comes_along_to_where_it_is_not_known(rows):
    """A worker of a cluster hears of a family by its mixtures."""
    mixture = fit(rows, Configuration(3, "toy", max_iter=2)).mixture
    sent = pickle.dumps(mixture)
    del FAMILIES._things["toy"]
    with pytest.raises(Refusal, match="unknown covariance family 'toy'"):
        Mixture(mixture.weights, mixture.means, mixture.covariances, "toy")
    assert bits(pickle.loads(sent)) == bits(mixture)
    assert "toy" in family_names()


@pytest.mark.usefixtures("known")
def test_it_is_fitted_on_workers_with_the_same_bits(rows):
    asked = Configuration(3, "toy", tol=0, max_iter=6)
    with local_cluster(2) as client:
        found = fit(rows, asked, client=client)
    assert bits(found.mixture) == bits(fit(rows, asked).mixture)


@pytest.mark.usefixtures("known")
def test_it_is_asked_for_on_the_command_line(rows, tmp_path, command, monkeypatch):
    monkeypatch.setitem(FORMULAS, "toy", BY_THE_BOOK)
    np.save(tmp_path / "rows.npy", rows)
    asked = ["-k", 3, "--covariance", "toy", "--tol", 0]
    command("fit", "rows.npy", *asked, "--max-iter", 12, "--out", "run")
    assert "toy" in command("show", "run/model.zarr")
    assert command("report", "run")
    assert json.loads(command("verify", "run", "rows.npy", "--json"))["holds"]
    command("score", "run", "rows.npy", "--out", "scores.zarr")
    families = ["--covariance", "toy", "--covariance", "full"]
    command("select", "rows.npy", "-k", "2,3", *families, "--out", "selection")
    assert load_model(tmp_path / "selection" / "model.zarr").mixture.family == "toy"
    command("fit", "rows.npy", "-k", 3, "--covariance", "oval", "--out", "none", code=2)


@pytest.mark.usefixtures("known")
def test_a_run_of_it_is_resumed_on_the_command_line(rows, tmp_path, command):
    np.save(tmp_path / "rows.npy", rows)
    asked = Configuration(3, "toy", tol=0.0, max_iter=12)
    whole = fit(tmp_path / "rows.npy", asked).mixture
    with pytest.raises(Interrupted):
        fit(tmp_path / "rows.npy", asked, run=tmp_path / "run", callbacks=[interrupt])
    arguments = ["-k", 3, "--covariance", "toy", "--tol", 0, "--max-iter", 12]
    command("fit", "rows.npy", *arguments, "--out", "run")
    assert bits(load_model(tmp_path / "run" / "model.zarr").mixture) == bits(whole)
