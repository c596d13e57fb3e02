"""What an earlier version has stored is read by this one: how it was written is told in write.py.

Where nothing is computed again, numbers are those that the earlier version told, bit for bit.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr

import gmm_dask
from tests.cli.conftest import Preloaded, Shell

HERE = Path(__file__).parent
VERSION = "99633d7"
TOLD: dict[str, Any] = json.loads((HERE / f"{VERSION}.json").read_text())
PLACE = "/proc/self/cwd"
"""Where all addresses in the fixtures lie: the folder of whoever reads them."""
ROWS, GROWING = f"{PLACE}/rows.zarr", f"{PLACE}/growing.zarr"
CLOSE = 1e-9
FIT = ("fit", ROWS, "-k", 3, "--tol", "1e-8")
REFIT = ("refit", GROWING, "--models", f"{PLACE}/models", "-k", 3, "--tol", "1e-6")
SCORE = ("score", f"{PLACE}/finished", ROWS, "--out", f"{PLACE}/scores.zarr", "--quantile", 0.05)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*was begun with other versions"),
    pytest.mark.usefixtures("no_client"),
]


@pytest.fixture(autouse=True)
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fixtures, in the folder that tests work in."""
    with tarfile.open(HERE / f"{VERSION}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Commands:
    """Commands of this version, in the folder of the fixtures."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    def text(self, *arguments: object) -> str:
        return self.shell(*arguments, MPLBACKEND="Agg").well().out

    def __call__(self, *arguments: object) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.text(*arguments, "--json"))
        return answer


@pytest.fixture(scope="module")
def preloaded() -> Iterator[Preloaded]:
    process = Preloaded()
    yield process
    process.close()


@pytest.fixture
def asked(unpacked: Path, preloaded: Preloaded) -> Commands:
    return Commands(Shell(unpacked, preloaded))


def parameters(mixture: gmm_dask.Mixture) -> dict[str, Any]:
    names = ("family", "components", "features")
    arrays = ("weights", "means", "covariances")
    told = {name: getattr(mixture, name) for name in names}
    return told | {name: getattr(mixture, name).tolist() for name in arrays}


def same_parameters(mixture: gmm_dask.Mixture, told: dict[str, Any]) -> bool:
    return parameters(mixture).items() <= told.items()


def assert_close(found: dict[str, Any], told: dict[str, Any], *names: str) -> None:
    for name in names:
        np.testing.assert_allclose(found[name], told[name], rtol=CLOSE, atol=CLOSE, err_msg=name)


def contents(folder: str) -> dict[str, bytes]:
    """All files that a run is made of, but for its lock, and what can be made of it again."""
    return {
        str(path): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file() and path.name not in (".lock", "report.html", "selection.png")
    }


@pytest.mark.parametrize("name", TOLD["show"])
def test_show_tells_what_that_version_told(asked, name):
    found, told = asked("show", f"{PLACE}/{name}"), TOLD["show"][name]
    assert told["mixture"] is not None
    told = {name: told[name] for name in told if name != "report"}  # which can be made again
    assert {name: found[name] for name in told} == told
    assert "components" in asked.text("show", f"{PLACE}/{name}")


@pytest.mark.parametrize("run", ["finished", "stopped", "selection"])
def test_a_report_is_made_of_every_run(asked, run):
    before = contents(run)
    asked.text("report", f"{PLACE}/{run}")
    page = Path(run, "report.html").read_text()
    assert f"{TOLD['show'][run]['result']['mean_log_likelihood']:.4f}"[:-1] in page
    assert contents(run) == before


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("finished/model.zarr", "finished"),
        ("model.zarr", "model.zarr"),
        ("selection/model.zarr", "selection"),
        ("models/v0002/model.zarr", "models"),
    ],
)
def test_models_are_loaded_bit_for_bit(where, shown):
    model = gmm_dask.load_model(where)
    told = TOLD["show"][shown]
    assert same_parameters(model.mixture, told["mixture"])
    assert list(model.feature_names) == told["mixture"]["feature_names"]
    assert model.provenance["reason"] == told["result"].get("reason", told["state"])


def test_a_finished_run_and_the_versions_hold_in_every_identity(asked):
    for model, rows in (("finished", ROWS), ("models", GROWING)):
        told = asked("verify", f"{PLACE}/{model}", rows)
        assert told["holds"], told
    names = {one["name"] for one in asked("verify", f"{PLACE}/finished", ROWS)["identities"]}
    assert {"at rest", "as its fit ended"} <= names


def test_a_finished_run_has_nothing_left_to_do_for_its_command(asked):
    before = contents("finished")
    assert asked(*FIT, "--out", f"{PLACE}/finished") == TOLD["finished"]
    assert contents("finished") == before


def test_a_finished_run_is_returned_to_python_at_once():
    told = []
    found = gmm_dask.fit(
        ROWS,
        gmm_dask.Configuration(3, tol=1e-8),
        array="rows",
        run=f"{PLACE}/finished",
        callbacks=[told.append],
    )
    assert told == []
    assert same_parameters(found.mixture, TOLD["show"]["finished"]["mixture"])
    assert found.summary().items() <= TOLD["finished"].items()
    assert len(found.history) == TOLD["show"]["finished"]["iterations_kept"]


def test_another_configuration_is_refused_by_name(asked):
    other = ("fit", ROWS, "-k", 3, "--tol", "1e-6", "--out", f"{PLACE}/finished")
    done = asked.shell(*other)
    assert done.refused()
    assert "tol: 1e-08 -> 1e-06" in done.err


def iterations(run: str) -> list[int]:
    lines = Path(run, "history.jsonl").read_text().splitlines()
    return [json.loads(line)["iteration"] for line in lines]


def test_the_stopped_run_goes_on_to_the_end_that_it_would_have_had(asked):
    before = Path("stopped/history.jsonl").read_text()
    found, told = asked(*FIT, "--out", f"{PLACE}/stopped"), TOLD["finished"]
    same = ("reason", "converged", "iterations", "passes", "rows", "weight")
    assert {name: found[name] for name in same} == {name: told[name] for name in same}
    assert_close(found, told, "mean_log_likelihood", "bic", "aic", "icl")
    assert iterations("stopped") == list(range(found["iterations"] + 1))
    assert Path("stopped/history.jsonl").read_text().startswith(before)
    mixture = parameters(gmm_dask.load_model("stopped/model.zarr").mixture)
    expected = TOLD["show"]["finished"]["mixture"]
    assert_close(mixture, expected, "weights", "means", "covariances")


def test_the_stopped_run_goes_on_in_python():
    first = []
    found = gmm_dask.fit(
        ROWS,
        gmm_dask.Configuration(3, tol=1e-8),
        array="rows",
        run=f"{PLACE}/stopped",
        callbacks=[lambda progress: first.append(progress.entry["iteration"])],
    )
    assert first[0] == 8
    assert_close(found.summary(), TOLD["finished"], "mean_log_likelihood", "bic")


def test_a_selection_is_told_again_without_a_pass(asked):
    families = ("--covariance", "full", "--covariance", "diag")
    before = contents("selection")
    found = asked("select", ROWS, "-k", "1:3", *families, "--out", f"{PLACE}/selection")
    for choice in (found["best"], *found["table"]):
        assert choice.pop("degenerate") == 0  # which that version did not tell
    assert found == TOLD["selection"]
    assert contents("selection") == before


def test_a_selection_is_told_again_in_python():
    found = gmm_dask.select(
        ROWS, [1, 2, 3], ["full", "diag"], opening={"array": "rows"}, run=f"{PLACE}/selection"
    )
    told = [line | {"degenerate": 0} for line in TOLD["selection"]["table"]]
    assert [vars(choice) for choice in found.table] == told
    assert found.passes == TOLD["selection"]["passes"]


def test_versions_and_decisions_are_told(asked):
    found, told = asked("models", f"{PLACE}/models"), TOLD["models"]
    assert found == {name: told[name] for name in found}
    assert "v0002" in asked.text("models", f"{PLACE}/models")
    assert "appended" in json.dumps(found["history"])


def test_an_earlier_version_can_be_made_current_and_scores(asked):
    found = asked("models", f"{PLACE}/models", "--rollback", "v0001")
    assert found["current"] == "v0001"
    told = asked("score", f"{PLACE}/models", GROWING, "--out", f"{PLACE}/new.zarr")
    assert told["rows"] == 800


def test_a_refit_finds_nothing_new(asked):
    before = contents("models")
    found = asked(*REFIT, "--margin", 0)
    assert (found["outcome"], found["version"]) == ("nothing new", "v0002")
    assert contents("models") == before


def test_a_refit_goes_on_from_the_current_version(asked):
    drawn = np.random.default_rng(0)
    store = zarr.open_array("growing.zarr", mode="r+")
    store.append(store[:400] + 0.1 * drawn.standard_normal((400, 2)))
    found = asked(*REFIT, "--margin", 0)
    assert (found["news"], found["rows"], found["new_rows"]) == ("appended", 1200, 400)
    expected = TOLD["models"]["refits"][1]["comparison"]["after"]
    assert found["drift"]["expected"] == expected
    assert found["outcome"] in ("promoted", "kept")


def test_scores_are_opened_by_zarr_and_xarray():
    group = zarr.open_group("scores.zarr", mode="r")
    dataset = xarray.open_zarr("scores.zarr", consolidated=False)
    for name, told in TOLD["scores"]["values"].items():
        for values in (np.asarray(group[name][...]), dataset[name].to_numpy()):
            assert values.dtype.str == told["dtype"]
            assert values[:5].tolist() == told["first"]
            assert hashlib.sha256(values.tobytes()).hexdigest() == told["sha256"]


def test_scores_are_complete_for_their_command(asked):
    before = contents("scores.zarr")
    written = ("--write", "labels,probabilities,log_density,outlier")
    told = {name: value for name, value in TOLD["scores"].items() if name != "values"}
    assert asked(*SCORE, *written) == told | {"blocks_written": 0}
    assert contents("scores.zarr") == before


def test_scores_are_written_again_with_the_same_numbers():
    found = gmm_dask.score("finished/model.zarr", ROWS, "again.zarr", quantile=0.05, array="rows")
    assert_close(found.summary(), TOLD["scores"], "shares", "mean_log_density", "outlier_threshold")
    assert found.outliers == TOLD["scores"]["outliers"]


def test_the_configuration_of_that_version_is_fitted(asked):
    found = asked("fit", "--config", "asked.toml", "--out", f"{PLACE}/anew")
    told = TOLD["fewer"]
    assert (found["iterations"], found["passes"]) == (told["iterations"], told["passes"])
    assert_close(found, told, "mean_log_likelihood", "bic")
    model = gmm_dask.load_model("anew/model.zarr")
    assert list(model.feature_names) == told["mixture"]["feature_names"]
    assert_close(parameters(model.mixture), told["mixture"], "weights", "means", "covariances")


def test_the_configuration_in_a_run_folder_goes_on_with_it(asked):
    Path("finished").rename("copy")
    found = asked("fit", "--config", "copy/config.toml", "--out", f"{PLACE}/copy")
    assert found["passes"] == TOLD["finished"]["passes"]
    assert found["mean_log_likelihood"] == TOLD["finished"]["mean_log_likelihood"]
