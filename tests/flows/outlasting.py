"""A flow whose run is kept in an object store, struck by each fault in turn while it fits."""

import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from prefect.blocks.system import Secret
from prefect.client.schemas.objects import StateType
from prefect.settings import PREFECT_API_URL, temporary_settings

from gmm_dask.runs.view import RunView, look_at_run
from gmm_dask.store.addresses import PATIENCE
from tests.flows.asking import Asking
from tests.flows.servers import until
from tests.flows.slow import ask_slow, bits, flow_process, undisturbed_bits
from tests.store.unruly import BUCKET, Unruly

RUN = f"{BUCKET}/struck"
ENOUGH = 240.0
BLOCK = "unruly"


@dataclass
class Struck:
    """The flow run, and how long it took after each fault to come further than it had."""

    asking: Asking
    proxy: Unruly
    run: UUID
    took: dict[str, float]

    def outage(self, how: str) -> None:
        """Longer than the store is waited for: until the task is tried again."""
        before, tried = reached(), self.tries()
        with self.proxy.during(how):
            until(lambda: self.tries() > tried, ENOUGH, f"another attempt after {how}")
        self.comes_further(before, how)

    def kill(self) -> None:
        """SIGKILL of the driver."""
        before, driver = reached(), flow_process(self.run)
        assert driver is not None
        driver.send_signal(signal.SIGKILL)
        self.comes_further(before, "kill -9")

    def tries(self) -> int:
        return self.asking.log(self.run).count("this may pass, trying again")

    def comes_further(self, before: int, after: str) -> None:
        began = time.monotonic()
        until(lambda: reached() > before, ENOUGH, f"another checkpoint after {after}")
        self.took[after] = time.monotonic() - began


def reached() -> int:
    """The newest iteration that is kept."""
    run = look_at_run(RUN)
    return max(run.iterations_kept, default=0) if run else 0


def attempt() -> RunView:
    """The run as it stands."""
    run = look_at_run(RUN)
    assert run is not None
    return run


def struck(asking: Asking, proxy: Unruly, rows: Path, folder: Path, patience: float) -> Struck:
    """Two outages and a kill, of one run, to its end: with the bits of an undisturbed one."""
    with temporary_settings({PREFECT_API_URL: asking.platform.address}):
        environment = {**proxy.environment, PATIENCE: f"{patience:g}"}
        Secret(value=json.dumps(environment)).save(BLOCK, overwrite=True)
    run = ask_slow(asking, rows, RUN, credentials=BLOCK, checkpoint_every=5)
    until(lambda: reached() >= 5, ENOUGH, "the first iterations")
    found = Struck(asking, proxy, run, {})
    found.outage("503")
    found.outage("expired")
    found.kill()
    asking.ends_as(run, StateType.COMPLETED, ENOUGH)
    until(lambda: attempt().finished, ENOUGH, "the end of the fit")
    assert not {"Cancelled", "Failed"} & {*asking.states(run)}, asking.states(run)
    assert bits(RUN) == undisturbed_bits(rows, folder)
    return found
