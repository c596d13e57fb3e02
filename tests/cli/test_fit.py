"""`fit`: the run folder, exit codes, the same fit again from its own config.toml."""

import tomllib

import numpy as np
import pytest

from gmm_dask.models.model import load_model
from gmm_dask.store.lock import FileLock


def same_model(one, other) -> bool:
    a, b = load_model(one).mixture, load_model(other).mixture
    names = ("weights", "means", "covariances")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


def test_a_run_folder_holds_all_that_it_should(workplace):
    run = workplace.folder / "runs" / "b"
    for name in ("config.toml", "history.jsonl", "checkpoints", "model.zarr", "report.html"):
        assert (run / name).exists(), name
    config = tomllib.loads((run / "config.toml").read_text())
    assert config["mixture"]["components"] == 3
    assert config["rows"]["array"] == "rows"


def test_a_finished_run_says_so_and_gives_its_result(workplace):
    again = workplace("fit", "b.zarr", "-k", 3, "--out", "runs/b", "--json").well()
    assert "is finished" in again.err
    assert again.json["converged"]
    assert again.json["model"].endswith("runs/b/model.zarr")
    assert np.isfinite(again.json["bic"])


def test_its_configuration_does_it_again_and_options_override_it(workplace):
    first = workplace.folder / "runs" / "b"
    again = workplace.start("fit", "--config", "runs/b", "--out", "runs/c", "--threads", 2)
    done = workplace.end(again).well()
    assert "local cluster of 1 x 2 threads" in done.err
    assert "dashboard: http://127.0.0.1" in done.err
    assert same_model(first / "model.zarr", workplace.folder / "runs" / "c" / "model.zarr")


def test_without_a_name_a_run_gets_one_and_another_fit_the_next(shell, workplace):
    source = workplace.folder / "b.zarr"
    one = shell("fit", source, "-k", 2, "--tol", 0.1, "--json").well().json
    two = shell("fit", source, "-k", 1, "--json").well().json
    assert one["run"].startswith(f"{shell.folder}/runs/b-")
    assert two["run"] == f"{one['run']}-2"


def test_noise_is_fitted_shown_and_scored(shell, workplace):
    source = workplace.folder / "b.zarr"
    told = shell("fit", source, "-k", 3, "--noise", "box", "--out", "run").well().out
    assert "Mixture of 3 components and noise" in told
    assert told.splitlines()[5].split()[0] == "noise"
    shown = shell("show", "run", "--json").well().json
    weights = [*shown["mixture"]["weights"], shown["mixture"]["noise"]["weight"]]
    assert sum(weights) == pytest.approx(1)
    assert shown["configuration"]["noise"] == "box"
    scored = shell("score", "run", source, "--out", "s.zarr").well().out
    assert ", noise: " in scored.splitlines()[-1]
    assert "holds at rest" in shell("verify", "run", source).well().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("fit b.zarr -k 3 --noise -1", "noise must be box"),
        ("fit nothing.zarr -k 3", "nothing is stored at"),
        ("fit b.zarr", "components is missing"),
        ("fit b.zarr -k 4 --out runs/b", "begin anew"),
        ("fit b.zarr -k 3 --init kmean", "no way to draw a start"),
        ("fit b.zarr -k 9 --init runs/b/model.zarr --out runs/x", "initial mixture has 3"),
    ],
)
def test_bad_input_is_one_sentence(workplace, arguments, told):
    assert told in workplace(*arguments.split()).refused()


def test_a_run_that_another_driver_holds_has_an_exit_code_of_its_own(workplace):
    lock = FileLock.take(workplace.folder / "runs" / "b" / ".lock")
    try:
        found = workplace("fit", "b.zarr", "-k", 3, "--out", "runs/b")
    finally:
        lock.release()
    assert "is in use by process" in found.refused(3)


def test_labels_and_models_are_starts(workplace):
    labels = ["--init", "labels:labels", "--out", "runs/labels"]
    workplace("fit", "b.zarr", "-k", 3, "--max-iter", 0, *labels).well()
    model = load_model(workplace.folder / "runs" / "labels" / "model.zarr").mixture
    truth = load_model(workplace.folder / "b.zarr" / "truth").mixture
    np.testing.assert_allclose(model.means, truth.means, atol=0.2)
