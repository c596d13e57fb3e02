"""Row 22: memory of workers that stream, of a driver with a long history, and over a long time."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from tests.faults.cluster import processes_of
from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.ground import Ground, ground
from tests.faults.test_memory import streamed

SOAK, WARM_UP = 1200.0, 480.0
"""Seconds. What Dask keeps of the last so many messages and events takes minutes to fill."""
GROWTH_BAR = 1.0
"""MB per hour."""
EVERY = 2.0
"""Seconds between two looks at the driver's memory."""
HISTORY_BAR = 2000
"""Bytes of the driver's memory for an iteration of the history, which a `Fit` holds."""


def bounded(scale: Scale, seed: int) -> Outcome:  # noqa: ARG001 - nothing is drawn
    """The soak goes on beside the other two."""
    outcome = Outcome()
    full = scale == "full"
    with ground() as made:
        soak = threading.Thread(target=_soak, args=(outcome, made, full))
        soak.start()
        with outcome.trying("data of four times a worker's memory limit, streamed"):
            grown, bound = streamed(made.folder / "large.zarr")
            outcome.figures["streamed"] = (
                f"worker grew by {grown / 1e6:.0f} MB of {bound / 1e6:.0f}"
            )
            assert grown <= bound
        with outcome.trying("a long history"):
            _long_history(outcome, made, 1_000_000 if full else 20_000)
        soak.join()
    return outcome


def _long_history(outcome: Outcome, made: Ground, iterations: int) -> None:
    words = [sys.executable, "-m", "tests.faults.rows.history", made.stored]
    run = str(made.folder / "long")
    done = subprocess.run(
        [*words, run, str(iterations)], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-500:]
    told = json.loads(done.stdout)
    each = told["memory"] / iterations
    outcome.figures["history"] = (
        f"{iterations:,} iterations: {told['file'] / 1e6:.0f} MB on disk; resuming and ending "
        f"takes {told['memory'] / 1e6:.0f} MB of the driver ({each:.0f} bytes an iteration) and "
        f"{told['seconds']:.0f} s"
    )
    assert told["entries"] >= iterations
    assert each <= HISTORY_BAR, f"{each:.0f} bytes an iteration"


def _soak(outcome: Outcome, made: Ground, full: bool) -> None:
    """Resident memory of a driver that iterates steadily, as a straight line after warm-up."""
    warm_up, soak = (WARM_UP, SOAK) if full else (3.0, 6.0)
    with outcome.trying("a soak"), processes_of(1) as cluster:
        driver = _driver(made, cluster.address, warm_up + soak)
        grown, measured = _growth(driver, warm_up)
        outcome.figures["soak"] = (
            f"driver grew by {grown:.2f} MB/h over {soak / 60:.0f} minutes after {warm_up:.0f} s "
            f"of warm-up, {_lines(made.folder / 'soak' / 'history.jsonl')} iterations, "
            f"resident {measured[0] / 1e6:.1f} to {measured[-1] / 1e6:.1f} MB"
        )
        assert driver.returncode == 0, "the driver broke"
        assert not full or grown < GROWTH_BAR, f"driver growth {grown:.2f} MB/h"


def _driver(made: Ground, address: str, seconds: float) -> psutil.Popen:
    words = [sys.executable, "-m", "tests.faults.rows.soaking", address, made.stored]
    run = str(made.folder / "soak")
    return psutil.Popen([*words, run, str(seconds)], stdout=subprocess.DEVNULL)


def _growth(driver: psutil.Popen, warm_up: float) -> tuple[float, list[int]]:
    """MB per hour, by least squares, and what was measured."""
    times: list[float] = []
    resident: list[int] = []
    started = time.monotonic()
    while driver.poll() is None:
        passed = time.monotonic() - started
        if passed > warm_up:
            times.append(passed)
            resident.append(driver.memory_info().rss)
        time.sleep(EVERY)
    resident = [r for r in resident if r]  # a process that is ending has none
    slope = np.polyfit(times[: len(resident)], resident, 1)[0]
    return float(slope * 3600 / 1e6), resident


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)
