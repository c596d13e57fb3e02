"""Row 27: several who write scores to one place, at once, or late because they were stopped."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import zarr

from gmm_dask import Mixture, score
from gmm_dask.models.model import save_model
from gmm_dask.store.errors import RunIsBusy
from tests.chunked.conftest import store
from tests.faults.cluster import processes_of, until
from tests.faults.outcome import Outcome, Scale

ROWS, FEATURES, BLOCK_ROWS = 40_000, 3, 400
BLOCKS = {"block_bytes": 8 * FEATURES * BLOCK_ROWS}
EARLIER, LATER = (Mixture([1.0], [[place] * FEATURES], [np.eye(FEATURES)]) for place in (0.0, 9.0))
AT_MOST = 1.0
"""Seconds in which who comes second is to leave."""

DRIVER = """
import sys
from distributed import Client
from gmm_dask import score
model, source, out, size, scheduler = sys.argv[1:]
client = Client(scheduler) if scheduler else None
score(model, source, out, block_bytes=int(size), client=client)
"""


def several(scale: Scale, seed: int) -> Outcome:
    """A driver beside another, after one that was killed, and while its workers go on."""
    outcome, random = Outcome(), Random(seed)
    with TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        values = np.random.default_rng(seed).normal(size=(ROWS, FEATURES))
        store(folder / "rows.zarr", values, chunks=(BLOCK_ROWS, FEATURES))
        save_model(EARLIER, folder / "model", feature_names=None, provenance={})
        for number in range(1 if scale == "small" else 10):
            for name, case in CASES.items():
                with outcome.trying(f"{name}, {number}"):
                    case(folder, folder / f"{name}-{number}", random)
    return outcome


def _beside(folder: Path, out: Path, random: Random) -> None:
    with _scoring(folder, out, random) as driver:
        started = time.monotonic()
        with pytest.raises(RunIsBusy, match=f"in use by process {driver.pid}"):
            score(LATER, folder / "rows.zarr", out, overwrite=True, **BLOCKS)
        assert time.monotonic() - started < AT_MOST, "the second one was slow to leave"
        assert driver.wait() == 0
    _all_by(EARLIER, folder, out)


def _after(folder: Path, out: Path, random: Random) -> None:
    with _scoring(folder, out, random) as driver:
        driver.kill()
        driver.wait()
    score(LATER, folder / "rows.zarr", out, overwrite=True, **BLOCKS)
    _all_by(LATER, folder, out)


def _stopped(folder: Path, out: Path, random: Random) -> None:
    """The driver is killed, its workers are stopped, and go on when another has finished."""
    with processes_of(2) as cluster, _scoring(folder, out, random, cluster.address) as driver:
        late = [process for worker in cluster.workers for process in (worker, *worker.children())]
        for process in late:
            process.send_signal(signal.SIGSTOP)
        driver.kill()
        driver.wait()
        score(LATER, folder / "rows.zarr", out, overwrite=True, **BLOCKS)
        for process in late:
            process.send_signal(signal.SIGCONT)
        time.sleep(1)  # whatever they had begun
        _all_by(LATER, folder, out)


CASES = {"beside": _beside, "killed": _after, "stopped": _stopped}


@contextmanager
def _scoring(
    folder: Path, out: Path, random: Random, scheduler: str = ""
) -> Iterator["subprocess.Popen[bytes]"]:
    """A driver of its own that has written some of the blocks."""
    size = str(BLOCKS["block_bytes"])
    asked = [folder / "model", folder / "rows.zarr", out, size, scheduler]
    with subprocess.Popen([sys.executable, "-c", DRIVER, *asked]) as driver:
        try:
            some = random.randint(1, ROWS // BLOCK_ROWS // 3)
            done = out / "block_statistics/c"
            until(lambda: driver.poll() is not None or len(list(done.glob("*/0"))) >= some)
            assert driver.poll() is None, "it has ended already"
            yield driver
        finally:
            driver.kill()


def _all_by(mixture: Mixture, folder: Path, out: Path) -> None:
    """Every value is the model's, and nothing of a lock is left."""
    values = zarr.open_array(folder / "rows.zarr", mode="r")[:]
    found = zarr.open_group(out, mode="r")["log_density"][:]
    wrong = int((np.abs(found - mixture.log_density(values)) > 1e-9).sum())
    assert not wrong, f"{wrong} of {ROWS} values are another model's"
    assert not (out / ".lock").exists()
