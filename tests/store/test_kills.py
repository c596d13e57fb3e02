"""Struck at any system call of a save, a run folder still has its newest checkpoint."""

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from gmm_dask.models.model import load_model
from gmm_dask.models.versions import load_version, look_at_versions
from gmm_dask.runs.checkpoint import complete_iterations, keep, load_checkpoint, load_newest
from gmm_dask.runs.view import look_at_run
from gmm_dask.store.errors import DamagedCheckpointWarning
from gmm_dask.store.local_folder import LocalFolder
from tests.store.dying import IDLE_CALLS, STRIKE, begin, prepare, promote, save

pytestmark = pytest.mark.needs("strace")

# All calls that checkpoints make.
CALLS = [call for call in IDLE_CALLS if call != "renameat2"]

# Kept over all tests of this module, for the last one to hold against what was promised.
KILLED: dict[str, int] = {}


class Striker:
    """The process in `dying.py`, and strace attached to it for one kind of call after another."""

    def __init__(self) -> None:
        arguments = [sys.executable, "-m", "tests.store.dying"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True)
        assert self._heard() == "ready"

    def strike(
        self, place: Path, call: str, scenario: str, injury: str, strikes: int = 0
    ) -> dict[int, list[str]]:
        """What each child told before it was struck; child i is struck at its i-th such call."""
        prepare(scenario, place / "template")
        told: dict[int, list[str]] = {}
        with self._traced(call, injury):
            assert self._process.stdin is not None
            self._process.stdin.write(f"{call} {scenario} {strikes} {place}\n")
            self._process.stdin.flush()
            while (line := self._heard()) != "done":
                number, what = line.split()
                told.setdefault(int(number), []).append(what)
        folders = [path.name for path in place.iterdir() if path.name != "template"]
        return {int(name): told.get(int(name), []) for name in folders}

    def close(self) -> None:
        self._process.communicate(timeout=10)

    def _heard(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the struck process is gone"
        return line.rstrip()

    @contextmanager
    def _traced(self, call: str, injury: str) -> Iterator[None]:
        inject = f"inject={call}:{injury}:when={STRIKE}"
        command = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
        with subprocess.Popen(
            [*command, "-p", str(self._process.pid)], stderr=subprocess.PIPE, text=True
        ) as tracer:
            assert tracer.stderr is not None
            assert "attached" in tracer.stderr.readline()
            yield
            tracer.terminate()
            tracer.communicate(timeout=10)


@pytest.fixture(scope="module")
def striker() -> Iterator[Striker]:
    striker = Striker()
    yield striker
    striker.close()


def check(root: Path, scenario: str, told: list[str]) -> None:
    """Loadable, right, and never older than what was last acknowledged; and the run goes on."""
    folder = LocalFolder(root)
    acknowledged = max([int(what) for what in told if what.isdigit()], default=0)
    with warnings.catch_warnings():
        # The `later` scenario begins with a damaged checkpoint, until that one is replaced.
        if scenario == "later" and acknowledged == 0:
            warnings.simplefilter("ignore", DamagedCheckpointWarning)
        newest = load_newest(folder)
    least = max(acknowledged, 3 if scenario == "later" else 0)
    if newest is None:
        assert least == 0
    else:
        assert newest.iteration >= least
        assert newest.state == {"at": newest.iteration}
        assert np.array_equal(newest.arrays["a"], np.full(5, newest.iteration))
    for iteration in complete_iterations(folder):
        if acknowledged or iteration != 4:
            assert load_checkpoint(folder, iteration).state == {"at": iteration}
    for iteration in (6, 7):
        save(folder, iteration)
    keep(folder, last=2)
    assert complete_iterations(folder) == [6, 7]
    assert not [
        path for path in root.rglob("*") if path.is_file() and "it-0000000" not in str(path)
    ]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be had: a kill is the same there, and a sync costs nothing."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.parametrize("scenario", ["first", "later"])
@pytest.mark.parametrize("call", CALLS)
def test_killed_at_any_call(striker: Striker, place: Path, call: str, scenario: str) -> None:
    struck = striker.strike(place, call, scenario, "signal=KILL")
    unharmed = max(struck)
    assert all("refused" not in told and "broke" not in told for told in struck.values())
    assert "5" in struck[unharmed] or "1" in struck[unharmed]
    for number, told in struck.items():
        check(place / str(number), scenario, told)
    KILLED[f"{call}, {scenario}"] = len(struck) - 1


@pytest.mark.parametrize("call", ["openat", "fsync", "rename", "renameat2", "unlinkat", "mkdir"])
def test_model_killed_while_it_is_replaced_is_the_old_or_the_new(
    striker: Striker, place: Path, call: str
) -> None:
    struck = striker.strike(place, call, "model", "signal=KILL")
    assert len(struck) > 1
    for number, told in struck.items():
        components = load_model(place / str(number) / "model").mixture.components
        assert components == 2 if told else components in (1, 2)


def files_in(folder: Path) -> list[Path]:
    """All that readers see."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if not path.relative_to(folder).parts[0].startswith(".")]


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "unlinkat"])
def test_promotion_killed_anywhere_leaves_the_pointer_on_a_whole_model(
    striker: Striker, place: Path, call: str
) -> None:
    struck = striker.strike(place, call, "promote", "signal=KILL")
    assert len(struck) > 1
    for number, told in struck.items():
        models = place / str(number) / "models"
        found = load_version(models)
        components = found.model.mixture.components
        assert components == 2 if told else components in (1, 2)
        assert found.facts == {"components": components}
        promote(models.parent, 3)
        standing = look_at_versions(models)
        assert standing is not None
        assert [one["components"] for one in standing.decisions] == [*range(1, components + 1), 3]
        # An emptied folder may be left of a version, of which nothing is to be seen any more.
        names = {str(path.relative_to(models)).split("/")[0] for path in files_in(models)}
        assert names == {"current.json", *standing.versions}


@pytest.mark.parametrize("call", ["openat", "write", "fsync", "link", "rename", "mkdir"])
def test_restart_killed_anywhere_keeps_the_old_run(
    striker: Striker, place: Path, call: str
) -> None:
    struck = striker.strike(place, call, "restart", "signal=KILL")
    assert len(struck) > 1
    for number in struck:
        root = place / str(number)
        begin(root, 3, restart=True)
        runs = [look_at_run(path) for path in sorted(root.iterdir())]
        seeds = [run.record.seed for run in runs if run is not None]
        # The new run may or may not have come to be, when it was killed; the old one is there.
        assert sorted(seed for seed in seeds if seed is not None) in ([1, 3], [1, 2, 3])
        newest = load_newest(LocalFolder(root / "run.old-1"))
        assert newest is not None
        assert newest.iteration == 1


def test_two_hundred_kill_points_were_tried() -> None:
    if len(KILLED) < 2 * len(CALLS):
        pytest.skip("only with all of this module")
    sys.stdout.write(f"{KILLED}\n")
    assert sum(KILLED.values()) >= 200


@pytest.mark.parametrize(
    ("call", "error"),
    [
        *((call, "ENOSPC") for call in ("openat", "write", "fsync", "link", "mkdir", "rename")),
        *((call, "EIO") for call in CALLS),
    ],
)
def test_failing_at_any_call(striker: Striker, place: Path, call: str, error: str) -> None:
    """The save raises and all before it is whole, or it needed that call for nothing."""
    struck = striker.strike(place, call, "later", f"error={error}", strikes=8)
    assert any("refused" in told for told in struck.values()) or call in {"rmdir", "rename"}
    for number, told in struck.items():
        assert "broke" not in told
        assert told[-1] == "5"  # after the failure, the next attempt came through
        check(place / str(number), "later", told)


def test_file_system_without_hard_links(striker: Striker, place: Path) -> None:
    struck = striker.strike(place, "link", "first", "error=EPERM", strikes=3)
    for number, told in struck.items():
        assert told == ["1"]
        check(place / str(number), "first", told)


def test_sector_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    prepare("first", tmp_path)
    for iteration in (1, 2):
        save(LocalFolder(tmp_path), iteration)
    [path] = tmp_path.glob("checkpoints/it-00000002/arrays-*")
    load = (
        "import sys, warnings; from gmm_dask.runs.checkpoint import load_newest; "
        "from gmm_dask.store.local_folder import LocalFolder; warnings.simplefilter('always'); "
        "sys.exit(load_newest(LocalFolder(sys.argv[1])).iteration)"
    )
    command = ["strace", "-f", "-o", "/dev/null", "-P", str(path), "-e", "inject=read:error=EIO"]
    told = subprocess.run(
        [*command, sys.executable, "-c", load, str(tmp_path)], capture_output=True, text=True
    )
    assert told.returncode == 1
    assert f"{path.name} is damaged: the disk cannot read" in told.stderr
