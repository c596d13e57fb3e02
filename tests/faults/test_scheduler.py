"""The scheduler is killed: a typed error at once, and the next start ends with the same bits."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, SchedulerPlugin

from gmm_dask.chunked.engines.faults import ClusterError
from gmm_dask.fitting.run_loop import Progress
from gmm_dask.runs.checkpoint import complete_iterations
from gmm_dask.store.local_folder import LocalFolder
from tests.faults.cluster import processes_of, sweep_of
from tests.faults.conftest import RECOVERIES
from tests.faults.fits import digest, fitted

AT_ONCE = 5.0
"""Seconds, on a busy machine."""
STEP = 5


class EndsScheduler(SchedulerPlugin):
    """Kills its own process in the middle of a sweep, leaving a mark with the time."""

    name = "ends-scheduler"

    def __init__(self, sweep: int, mark: Path) -> None:
        self.sweep, self.mark, self.ended = sweep, mark, 0

    def transition(self, key: Any, start: str, finish: str, *_: Any, **__: Any) -> None:
        if (start, finish) == ("processing", "memory") and sweep_of(key) == self.sweep:
            self.ended += 1
            if self.ended == 3:
                self.mark.write_text(str(time.time()))
                os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("moment", ["in a sweep", "between passes"])
def test_a_killed_scheduler(
    cluster: Client, stored: str, undisturbed: str, tmp_path: Path, moment: str
) -> None:
    run, mark = tmp_path / "run", tmp_path / "mark"
    with processes_of(2) as processes:
        client = Client(processes.address, set_as_default=False)
        client.wait_for_workers(2, timeout=60)

        def tell(progress: Progress) -> None:
            if progress.state.iteration == STEP - 1 and moment == "between passes":
                mark.write_text(str(time.time()))
                processes.scheduler.kill()

        if moment == "in a sweep":
            client.register_plugin(EndsScheduler(STEP, mark))
        with pytest.raises(ClusterError, match="the scheduler is gone"):
            fitted(stored, client=client, run=run, callbacks=[tell])
        seconds = time.time() - float(mark.read_text())
        RECOVERIES.append((f"a killed scheduler, {moment}, by an error", seconds))
        assert seconds < AT_ONCE
        client.close(timeout=1)
    assert complete_iterations(LocalFolder(run))[-1] == STEP - 1
    began: list[int] = []
    found = fitted(
        stored, client=cluster, run=run, callbacks=[lambda p: began.append(p.state.iteration)]
    )
    assert began[0] == STEP
    assert digest(found) == undisturbed
