"""Help is quick, and its examples are commands that exist."""

import resource
import shlex
import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from gmm_dask.cli.application import app
from tests.cli.conftest import ENVIRONMENT

GROUP = get_command(app)
COMMANDS = {
    name if inner is None else f"{name} {inner}": command
    for name, outer in GROUP.commands.items()
    for inner, command in getattr(outer, "commands", {None: outer}).items()
}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_an_example_whose_options_are_valid(name):
    command = COMMANDS[name]
    start = f"Example: gmm-dask {name} "
    assert command.epilog.startswith(start)
    command.make_context(name, shlex.split(command.epilog.removeprefix(start)))
    shown = CliRunner().invoke(app, [*name.split(), "--help"])
    assert shown.exit_code == 0
    assert "Example: gmm-dask" in shown.output.strip().rpartition("╯")[2]


@pytest.mark.timed
def test_help_loads_nothing_heavy_and_is_quick():
    """Held against the help of one empty command: how quick this machine is, and how busy, is no
    fault of ours."""
    loaded, ours, theirs = set(), [], []
    for _ in range(3):
        loaded, spent = asked_for_help("-m", "gmm_dask", "fit")
        ours.append(spent)
        theirs.append(asked_for_help("-c", EMPTY)[1])
    assert "typer" in loaded
    heavy = {"numpy", "scipy", "dask", "distributed", "zarr", "sklearn", "matplotlib"}
    assert not loaded & heavy
    assert min(ours) < 3 * min(theirs)


EMPTY = """
import typer
app = typer.Typer(rich_markup_mode="markdown")
@app.command()
def fit(rows: str): "Fit."
app()
"""


def asked_for_help(*program: str) -> tuple[set[str], float]:
    """The libraries that a program's help loads, and the seconds of the processor it takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run(
        [sys.executable, "-X", "importtime", *program, "--help"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    lines = told.stderr.splitlines()
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}, spent


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "x.zarr", "-k", "3", "--covariance", "round"],
        ["fit", "x.zarr", "-k", "0"],
        ["fit", "x.zarr", "--colour", "red"],
        ["score", "m.zarr"],
        ["data", "make", "cubes", "--out", "x.zarr"],
        ["nonsense"],
    ],
)
def test_bad_usage_is_exit_code_2(arguments):
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_without_a_command_there_is_help():
    assert "Exit codes" in CliRunner().invoke(app, []).output
