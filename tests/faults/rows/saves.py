"""Rows 2 and 3: saves struck at every one of their system calls, and a disk that is full."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gmm_dask.fitting.run_loop import Progress
from gmm_dask.models.model import load_model
from gmm_dask.runs.checkpoint import complete_iterations
from gmm_dask.store.errors import StorageError
from gmm_dask.store.local_folder import LocalFolder
from tests.faults.fits import digest, fitted
from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.ground import Ground, ground
from tests.store.dying import mixture, save_mixture
from tests.store.test_kills import CALLS, Striker, check

NO_SPACE = ("openat", "write", "fsync", "link", "mkdir", "rename")
"""Calls that a full disk refuses."""
FULL_AT = 5
DISK = 400_000
"""Bytes of the disk that is filled."""


@contextmanager
def striker() -> Iterator[Striker]:
    made = Striker()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def place() -> Iterator[Path]:
    """In memory where that can be had: a kill is the same there, and a sync costs nothing."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="faults-", dir=where) as folder:
        yield Path(folder)


def killed(scale: Scale, seed: int) -> Outcome:  # noqa: ARG001 - every point, nothing is drawn
    """SIGKILL at the first call of each kind, the second, and so on until a save comes through."""
    outcome = Outcome()
    points: dict[str, int] = {}
    with striker() as struck_by:
        for scenario in ("first", "later", "model"):
            calls = [*CALLS, "renameat2"] if scenario == "model" else CALLS
            for call in calls if scale == "full" else ("rename", "link"):
                with place() as here:
                    struck = struck_by.strike(here, call, scenario, "signal=KILL")
                    for number, told in struck.items():
                        if number == max(struck):
                            continue  # the one that came through
                        with outcome.trying(f"{scenario}: {call} {number}"):
                            _whole(here / str(number), scenario, told)
                points[scenario] = points.get(scenario, 0) + len(struck) - 1
    outcome.figures["kill points"] = ", ".join(f"{n} in {name}" for name, n in points.items())
    return outcome


def _whole(root: Path, scenario: str, told: list[str]) -> None:
    assert "broke" not in told
    if scenario != "model":
        check(root, scenario, told)
        return
    components = load_model(root / "model").mixture.components
    assert components == 2 if told else components in (1, 2), "neither the old nor the new"


def refused(scale: Scale, seed: int) -> Outcome:  # noqa: ARG001 - every point, nothing is drawn
    """Errors at every call that a save makes, then a whole fit on a disk that fills up."""
    outcome = Outcome()
    refusals = 0
    errors = [*((call, "ENOSPC") for call in NO_SPACE), *((call, "EIO") for call in CALLS)]
    with striker() as struck_by:
        for call, error in errors if scale == "full" else errors[:1]:
            points = _calls_of_a_save(struck_by, call) if scale == "full" else 4
            with place() as here:
                struck = struck_by.strike(here, call, "later", f"error={error}", strikes=points)
                for number, told in struck.items():
                    refusals += "refused" in told
                    with outcome.trying(f"{error} at {call} {number}"):
                        _previous_kept(here / str(number), told)
    outcome.figures["saves that raised"] = (
        f"{refusals} of {outcome.survived + outcome.lost}; the others could do without that call"
    )
    with outcome.trying("a full disk"):
        outcome.figures["a full disk"] = _full_disk()
    return outcome


def _calls_of_a_save(struck_by: Striker, call: str) -> int:
    with place() as here:
        return len(struck_by.strike(here, call, "later", "signal=KILL")) - 1


def _previous_kept(root: Path, told: list[str]) -> None:
    """Right after the error the last acknowledged loads; the next attempt comes through."""
    assert "broke" not in told
    acknowledged = 3
    for what in told:
        if what.startswith("kept-"):
            assert int(what[5:]) >= acknowledged, told
        elif what.isdigit():
            acknowledged = max(acknowledged, int(what))
    assert told[-1] == "5", told
    check(root, "later", told)


def _full_disk() -> str:
    with ground() as made:
        disk = made.folder / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(disk)]
        mounted = subprocess.run(mount, capture_output=True, text=True)
        if mounted.returncode:
            return f"could not be mounted here: {mounted.stderr.strip()}"
        try:
            return _fit_on(disk, made)
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _fit_on(disk: Path, made: Ground) -> str:
    """A run is stopped by a full disk, says how far it got, and goes on when there is room."""
    run, ballast = disk / "run", disk / "ballast"

    def fill(progress: Progress) -> None:
        if progress.state.iteration == FULL_AT:
            with open(ballast, "wb", buffering=0) as file:
                while shutil.disk_usage(disk).free:
                    file.write(bytes(min(4096, shutil.disk_usage(disk).free)))

    save_mixture(disk, 1)
    try:
        fitted(made.stored, run=run, callbacks=[fill])
    except StorageError as problem:
        told = str(problem)
    else:
        raise AssertionError("the fit came to its end on a full disk")
    good = complete_iterations(LocalFolder(run))[-1]
    assert FULL_AT - 1 <= good <= FULL_AT + 1, good
    assert f"the last good iteration is {good}" in told, told
    try:
        save_mixture(disk, 60)
    except StorageError:
        kept = load_model(disk / "model").mixture
        assert np.array_equal(kept.weights, mixture(1).weights)
    else:
        raise AssertionError("a model was saved on a full disk")
    ballast.unlink()
    assert digest(fitted(made.stored, run=run)) == made.undisturbed
    return f"a tmpfs, filled during a fit: `{told.replace(str(disk), 'DISK')}`"
