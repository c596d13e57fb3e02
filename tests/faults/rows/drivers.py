"""Rows 1 and 13: drivers that are killed, and two of them on one run folder."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from tests.faults.drivers import drivers
from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.ground import ground, ground_and_cluster
from tests.faults.test_drivers import Life, Run, a_second_driver_leaves

LIVES_OF_A_RUN = 6
BUSY = 3
"""The exit code of the command line where another driver has the run."""


def killed(scale: Scale, seed: int) -> Outcome:
    """Drivers killed at random moments; every run is finished by a last one."""
    kills = 200 if scale == "full" else 6
    outcome, draw = Outcome(), Random(seed)
    with ground_and_cluster() as (made, client), drivers() as forked:
        address = client.scheduler.address
        runs = 0
        for first in range(0, kills, LIVES_OF_A_RUN):
            runs += 1
            run = Run(made.folder / f"run-{runs}")
            lives = [Life.drawn(draw) for _ in range(min(LIVES_OF_A_RUN, kills - first))]
            with outcome.trying(f"run {runs}, {lives}", cases=len(lives)):
                for life in [*lives, None]:
                    run.live(forked, made.stored, address, life)
                assert run.digest == made.undisturbed, "other bits"
            shutil.rmtree(run.folder)
    outcome.figures["finished runs"] = runs
    return outcome


def two(scale: Scale, seed: int) -> Outcome:  # noqa: ARG001 - nothing is drawn
    """The library's refusal in forked drivers, and the command line's exit code."""
    outcome = Outcome()
    with ground() as made, drivers() as forked:
        for turn in range(20 if scale == "full" else 1):
            with outcome.trying(f"turn {turn}"):
                folder = made.folder / f"run-{turn}"
                seconds = a_second_driver_leaves(forked, made.stored, made.undisturbed, folder)
                outcome.recovered(seconds, bar=1, after="the second driver's refusal")
        with outcome.trying("the command line"):
            code, seconds = _commanded(made.folder / "run-at-command", made.stored)
            outcome.figures["the command line beside a running one"] = (
                f"exit code {code} after {seconds:.1f} s, of which Python's start is most"
            )
            assert code == BUSY, f"exit code {code}"
    return outcome


def _commanded(run: Path, source: str) -> tuple[int, float]:
    """Exit code and seconds of `gmm-dask fit` on a run that another one has."""
    command = [sys.executable, "-m", "gmm_dask", "fit", source, "-k", "3", "--out", str(run)]
    endless = ["--tol", "0", "--max-iter", "100000"]
    told = run.with_suffix(".log")
    with (
        told.open("w") as log,
        subprocess.Popen([*command, *endless], stdout=log, stderr=log) as first,
    ):
        try:
            while not (run / "history.jsonl").exists():
                assert first.poll() is None, f"the first one ended: {told.read_text()[-300:]}"
                time.sleep(0.05)
            started = time.monotonic()
            second = subprocess.run([*command, *endless], capture_output=True, timeout=60)
            return second.returncode, time.monotonic() - started
        finally:
            first.kill()
