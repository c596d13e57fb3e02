"""Row 30: copies of a run folder, taken file by file while its driver goes on.

    python -m tests.faults.rows.copies SOURCE RUN

is that driver: some hundred quick iterations, each with its checkpoint.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from gmm_dask import Configuration, Fit, fit
from gmm_dask.store.errors import DamagedCheckpointWarning, LostWarning
from tests.faults.fits import digest, stored_rows
from tests.faults.outcome import Outcome, Scale

PATIENCE = 60.0
LONGEST_PAUSE = 0.02
"""Seconds between two files of a slow copy: some iterations."""


def taken(scale: Scale, seed: int) -> Outcome:
    """Every copy is resumed, and ends with the bits of the run that nobody copied."""
    outcome, draw = Outcome(), Random(seed)
    runs, copies, sweeps = (5, 8, 300) if scale == "full" else (1, 6, 150)
    beyond = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as here:
        source = stored_rows(Path(here) / "rows.zarr")
        undisturbed = digest(fitted(source, sweeps, None))
        for number in range(runs):
            run = Path(here) / f"run-{number}"
            for copy, how in copied(source, sweeps, run, copies, draw):
                with outcome.trying(f"run {number}, {copy.name}, {how}"):
                    beyond += not (copy / "FINISHED.json").exists()
                    assert digest(fitted(source, sweeps, copy)) == undisturbed, "other bits"
                shutil.rmtree(copy)
            shutil.rmtree(run)
    outcome.figures["copies of a run at work"] = beyond
    if not beyond:
        outcome.broken.append("no copy was of a run at work")
    return outcome


def fitted(source: str, sweeps: int, run: Path | None) -> Fit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedCheckpointWarning)  # half of it was copied
        warnings.simplefilter("error", LostWarning)
        asked = Configuration(3, tol=0, max_iter=sweeps, seed=1, accelerate=None)
        return fit(source, asked, run=run)


def copied(
    source: str, sweeps: int, run: Path, copies: int, draw: Random
) -> list[tuple[Path, str]]:
    """Copies of a run whose driver is at work, and how each was taken."""
    command = [sys.executable, "-m", "tests.faults.rows.copies", source, str(run), str(sweeps)]
    made = []
    with subprocess.Popen(command) as driver:
        try:
            until_begun(run, driver)
            for number in range(copies):
                copy, how = run.with_name(f"{run.name}-copy-{number}"), draw.choice(WAYS)
                how(run, copy, draw)
                made.append((copy, how.__name__))
        finally:
            driver.kill()
    return made


def until_begun(run: Path, driver: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while not list(run.glob("checkpoints/it-00000004/MANIFEST.json")):
        assert driver.poll() is None, "the driver has ended"
        assert time.monotonic() < deadline
        time.sleep(0.002)


def at_once(run: Path, copy: Path, draw: Random) -> None:  # noqa: ARG001 - nothing to draw
    """By cp, which complains of files that are gone, and copies the others."""
    subprocess.run(["cp", "-r", str(run), str(copy)], stderr=subprocess.DEVNULL, check=False)


def listed_first(run: Path, copy: Path, draw: Random) -> None:
    """As over a network: a list of all files, then one after another in the list's order."""
    _one_by_one(run, copy, sorted(_listed(run)), draw)


def history_first(run: Path, copy: Path, draw: Random) -> None:
    """A list again, from its other end."""
    _one_by_one(run, copy, sorted(_listed(run), reverse=True), draw)


def folder_by_folder(run: Path, copy: Path, draw: Random) -> None:
    """Each folder is listed when it is reached."""
    for parent, _, names in os.walk(run):
        _one_by_one(run, copy, [Path(parent) / name for name in names], draw)


def _listed(run: Path) -> list[Path]:
    return [Path(parent) / name for parent, _, names in os.walk(run) for name in names]


def _one_by_one(run: Path, copy: Path, files: list[Path], draw: Random) -> None:
    for path in files:
        to = copy / path.relative_to(run)
        to.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            shutil.copyfile(path, to)
        time.sleep(draw.uniform(0, LONGEST_PAUSE))


WAYS: tuple[Callable[[Path, Path, Random], None], ...] = (
    at_once,
    listed_first,
    history_first,
    folder_by_folder,
)


if __name__ == "__main__":
    fitted(sys.argv[1], int(sys.argv[3]), Path(sys.argv[2]))
