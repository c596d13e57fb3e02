"""An option is declared once: a field more is found wherever options are shown, taken and kept."""

import shutil
import subprocess
import sys
from pathlib import Path

import flows
import gmm_dask

FIELD = """
    patience: Annotated[
        int, Ge(2), Help("Patience", "passes without gain before it is given up", "-p")
    ] = 7
"""
FOUND = """
from typer.main import get_command
from typer.testing import CliRunner

from flows.defaults import Defaults
from flows.fit_mixture import fit_mixture
from flows.forms import MixtureForm
from gmm_dask import Configuration, ConfigurationError, GaussianMixture
from gmm_dask.cli.application import app
from gmm_dask.fitting.jobs import job_of
from gmm_dask.settings import toml
from gmm_dask.settings.job import Job

told = " ".join(CliRunner().invoke(app, ["fit", "--help"]).output.replace("│", " ").split())
assert "--patience" in told and "[x>=2]" in told, told
assert "Passes without gain before it is given up (default 7)." in told, told
assert CliRunner().invoke(app, ["fit", "x.zarr", "-k", "3", "-p", "1"]).exit_code == 2

fit = get_command(app).commands["fit"]
context = fit.make_context("fit", ["x.zarr", "-k", "3", "--patience", "5"])
assert context.params["patience"] == 5

job = job_of({"source": "x.zarr", "mixture": {"components": 3, "patience": 5}})
assert "patience = 5" in job.as_toml()
assert toml.read(job.as_toml(), Job, "c")["mixture"]["patience"] == 5
wrong = {"patience = 1": "a whole number from 2 up, not 1", "pateince = 3": "'patience'"}
for text, said in wrong.items():
    try:
        toml.read(f"[mixture]\\n{text}", Job, "c")
    except ConfigurationError as refused:
        assert said in str(refused), refused
    else:
        raise AssertionError(text)

shown = MixtureForm.model_json_schema()["properties"]["patience"]
assert shown["minimum"] == 2 and shown["default"] == 7 and shown["type"] == "integer"
assert shown["title"] == "Patience"
assert shown["description"] == "Passes without gain before it is given up"
asked = fit_mixture.parameters.model_dump_for_openapi()["definitions"]["MixtureForm"]
assert asked["properties"]["patience"] == shown
assert Defaults(mixture={"patience": 9}).mixture.given() == {"patience": 9}

assert GaussianMixture().get_params()["patience"] == 7
try:
    GaussianMixture(patience=1).fit([[0.0], [1.0]])
except ValueError as refused:
    assert "patience" in str(refused) and "[2, inf)" in str(refused), refused
else:
    raise AssertionError("taken")

assert "patience" not in Configuration(3).identity()
assert Configuration(3, patience=5).identity()["patience"] == 5
"""


def test_one_more_field_is_found_everywhere(tmp_path: Path) -> None:
    for package in (gmm_dask, flows):
        place = Path(package.__file__).parent
        left_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(place, tmp_path / place.name, ignore=left_out)
    declared = tmp_path / "gmm_dask" / "settings" / "mixture.py"
    before, after, rest = declared.read_text().partition("\n    def __post_init__")
    declared.write_text(before + FIELD + after + rest)
    told = subprocess.run(
        [sys.executable, "-c", FOUND], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
