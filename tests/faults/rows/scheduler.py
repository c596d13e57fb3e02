"""Row 7: schedulers killed under a supervisor; drivers try again until they come through."""

import time
from random import Random
from typing import Any

from distributed import Client

from gmm_dask.chunked.engines.faults import ClusterError
from gmm_dask.fitting.run_loop import Progress
from tests.deploy.processes import BIN, DEPLOY, Processes, processes_in, until
from tests.faults.fits import SWEEPS, digest, fitted
from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.ground import Ground, ground
from tests.faults.rows.processes import children, free_port

BARS: dict[Scale, float] = {"full": 30.0, "small": 120.0}
"""Seconds from a kill to the next iteration; `make test` may share its machine."""
KILLS_OF_A_FIT = 2
PAUSE = 0.5
"""Seconds between two attempts of a driver."""


def killed(scale: Scale, seed: int) -> Outcome:
    """Every fit has two of its schedulers killed; the supervisor of each is a fresh one."""
    fits = 10 if scale == "full" else 1
    outcome, draw = Outcome(), Random(seed)
    with ground() as made:
        for number in range(fits):
            kills = KILLS_OF_A_FIT if scale == "full" else 1
            iterations = sorted(draw.sample(range(SWEEPS - 2), kills))
            delay = draw.uniform(0, 0.1)
            folder = made.folder / f"fit-{number}"
            folder.mkdir()
            with (
                outcome.trying(f"fit {number}, after {iterations}", cases=len(iterations)),
                processes_in(folder) as processes,
            ):
                fit = Fit(made, processes, iterations, delay)
                found = fit.to_its_end()
                for seconds in fit.recoveries:
                    outcome.recovered(seconds, bar=BARS[scale], after=f"fit {number}")
                assert len(fit.recoveries) == len(iterations), fit.recoveries
                assert found == made.undisturbed, "other bits"
    return outcome


class Fit:
    """A cluster under deploy/supervise, and a driver that goes on as long as it is refused."""

    def __init__(
        self, made: Ground, processes: Processes, iterations: list[int], delay: float
    ) -> None:
        self.made, self.processes, self.delay = made, processes, delay
        self.moments = list(iterations)
        self.killed_at: float | None = None
        self.recoveries: list[float] = []
        port = free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        quiet = ["--host", "127.0.0.1", "--no-dashboard"]
        self._supervised("scheduler", ["scheduler", "--port", port, *quiet])
        for number in range(2):
            worker = ["worker", self.address, "--nthreads", 1, *quiet]
            self._supervised(f"worker-{number}", worker)

    def _supervised(self, name: str, command: list[object]) -> None:
        self.processes.start(name, [DEPLOY / "supervise", BIN / "dask", *command])

    def to_its_end(self) -> str:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            try:
                return self._attempt()
            except (ClusterError, OSError):
                time.sleep(PAUSE)
        raise AssertionError("the fit never came to its end")

    def _attempt(self) -> str:
        client = Client(self.address, set_as_default=False, timeout=5)
        try:
            options: dict[str, Any] = {"run": self.made.folder / self.processes.folder.name / "run"}
            found = fitted(self.made.stored, client=client, callbacks=[self._tell], **options)
            return digest(found)
        finally:
            client.close(timeout=1)

    def _tell(self, progress: Progress) -> None:
        if self.killed_at is not None:
            self.recoveries.append(time.monotonic() - self.killed_at)
            self.killed_at = None
        if self.moments and progress.state.iteration >= self.moments[0]:
            del self.moments[0]
            time.sleep(self.delay)
            supervisor = self.processes.started["scheduler"].pid
            until(lambda: bool(children(supervisor, "scheduler")), "the scheduler's process")
            for process in children(supervisor, "scheduler"):
                process.kill()
            self.killed_at = time.monotonic()
