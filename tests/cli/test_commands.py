"""What is done with a model: score, sample, verify, show, report, select, doctor."""

import os

import numpy as np
import pytest
import zarr

from gmm_dask import Mixture
from gmm_dask.models.model import load_model, save_model


def test_score_writes_once_and_resumes(workplace):
    arguments = ["score", "runs/b", "b.zarr", "--out", "s.zarr", "--write", "labels,outlier"]
    first = workplace(*arguments).well()
    assert "outliers: log density below" in first.out
    again = workplace(*arguments, "--json").well().json
    assert again["blocks_written"] == 0
    assert again["outliers"] == 60
    group = zarr.open_group(workplace.folder / "s.zarr", mode="r")
    assert group["labels"].shape == (6000,)
    assert "is not known" in workplace(*arguments[:-1], "label").refused()


def test_sample_draws_rows_that_can_be_fitted(workplace):
    workplace("sample", "runs/b", "--rows", 500, "--out", "drawn.zarr").well()
    drawn = zarr.open_array(workplace.folder / "drawn.zarr" / "rows", mode="r")
    assert drawn.shape == (500, 3)
    assert drawn.attrs["feature_names"] == ["x0", "x1", "x2"]
    again = workplace("sample", "runs/b", "--rows", 500, "--out", "drawn.zarr")
    assert "exists already" in again.refused()


def test_verify_says_that_the_identities_hold(workplace):
    told = workplace("verify", "runs/b", "b.zarr", "--sample-rows", 500, "--json").well().json
    assert told["holds"]
    assert told["rows"] == 500
    assert {"name", "formula", "left", "right", "error"} <= told["identities"][0].keys()
    assert {"at rest", "as its fit ended"} <= {one["name"] for one in told["identities"]}


def shifted(mixture):
    """Every mean a standard deviation further on."""
    means = mixture.means + np.sqrt(mixture.variances)
    return Mixture(mixture.weights, means, mixture.covariances, mixture.family)


def test_verify_finds_a_wrong_model(workplace):
    right = load_model(workplace.folder / "runs/b/model.zarr")
    mixture = shifted(right.mixture)
    save_model(
        mixture,
        workplace.folder / "shifted",
        feature_names=right.feature_names,
        provenance=right.provenance,
    )
    told = workplace("verify", "shifted", "b.zarr", "--sample-rows", 500)
    assert told.code == 1
    failed = [line for line in told.out.splitlines() if line.startswith("FAILS")]
    assert "FAILS at rest" in told.out
    assert "FAILS as its fit ended" in told.out
    assert len(failed) == 2


def test_show_tells_of_runs_and_models_alike(workplace):
    run = workplace("show", "runs/b").well().out
    assert "converged" in run
    assert "b.zarr/rows: 6000 rows × 3" in run
    model = workplace("show", "b.zarr/truth", "--json").well().json
    truth = load_model(workplace.folder / "b.zarr" / "truth").mixture
    np.testing.assert_array_equal(model["mixture"]["means"], truth.means)
    assert "neither a run nor a model" in workplace("show", "nowhere").refused()


def test_show_tells_how_far_a_fit_is_from_the_truth(workplace):
    told = workplace("show", "runs/b", "--against", "b.zarr/truth").well().out
    assert "Against b.zarr/truth, components matched" in told
    assert "at the most: weights 0.0" in told
    found = workplace("show", "runs/b", "--against", "b.zarr/truth", "--json").well().json
    assert sorted(match["other"] for match in found["against"]) == [0, 1, 2]
    assert all(match["mean"] < 0.2 for match in found["against"])
    assert found["report"].endswith("/report.html")
    workplace("data", "make", "faithful-like", "--rows", 9, "--out", "two.zarr").well()
    told = workplace("show", "runs/b", "--against", "two.zarr/truth").refused()
    assert "two.zarr/truth has other features" in told


def test_report_is_written_again(workplace):
    path = workplace.folder / "runs" / "b" / "report.html"
    path.unlink()
    assert workplace("report", "runs/b", "--json").well().json["report"].endswith("report.html")
    assert path.read_text().startswith("<!")


def test_select_finds_the_true_number_of_components(workplace):
    arguments = ["select", "b.zarr", "-k", "2:4", "--covariance", "full", "--covariance", "diag"]
    told = workplace(*arguments, "--out", "runs/sel", "--json").well().json
    assert told["best"]["components"] == 3
    assert len(told["table"]) == 6
    assert load_model(told["model"]).mixture.components == 3
    assert (workplace.folder / "runs" / "sel" / "selection.png").stat().st_size > 1000
    assert "write 1:12" in workplace("select", "b.zarr", "-k", "two").refused()


def test_doctor_looks_at_data_and_the_place_of_a_run(workplace):
    told = workplace("doctor", "b.zarr", "--out", "runs/new", "--json").well().json
    subjects = {finding["subject"] for finding in told["findings"]}
    assert {"versions", "threads", "chunks", "missing chunks", "locks", "Prefect"} <= subjects
    assert told["well"]


CLIPBOARD = "\x1b]52;c;cm0gLXJm\x07"
FORGED = "rows\nerror: all is lost\rmodel:  elsewhere"


@pytest.mark.parametrize("name", [CLIPBOARD, FORGED, "\x9b2J", "\u202eemordnilap", "\x7f"])
def test_names_are_told_as_text(shell, name):
    source = shell.folder / f"a{name}.zarr"
    made = zarr.create_array(source, data=np.random.default_rng(0).normal(size=(90, 2)))
    made.attrs["feature_names"] = [name, "b"]
    asked = ["fit", source, "-k", 2, "--max-iter", 3, "--out", "run"]
    done = [
        shell("fit", f"no{name}.zarr", "-k", 2),
        shell(*asked).well(),
        shell("show", "run").well(),
        shell("show", "run", "--json").well(),
        shell("fit", "--config", "run/config.toml").well(),
        shell("doctor", source),
    ]
    for told in done:
        lines = (told.out + told.err).split("\n")
        assert not any(c in line for line in lines for c in "\x07\r\x1b\x7f\x9b\u202e"), told
        assert not any(line.startswith(("error: all", "model:  else")) for line in lines), told


def test_a_path_that_is_no_text_is_refused_in_a_sentence(shell):
    source = os.fsdecode(bytes(shell.folder) + b"/\xff.npy")
    np.save(source, np.zeros((9, 2)))
    told = shell("fit", source, "-k", 2).refused()
    assert "its name is not UTF-8; rename it" in told
