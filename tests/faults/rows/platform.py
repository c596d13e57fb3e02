"""Row 14: Prefect's flow, its worker and its server struck, on PostgreSQL and loopback.

The small version is tests/flows/test_platform.py.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from prefect.client.schemas.objects import StateType

from tests.faults.outcome import Outcome, Scale
from tests.flows.asking import Asking
from tests.flows.servers import Platform, platform, until
from tests.flows.slow import (
    ask_slow,
    begin_slow,
    bits,
    flow_process,
    iterations,
    stored,
    undisturbed_bits,
)

PATIENCE = 300.0
DOWN = 60.0
RECOVERY_BAR = 150.0
"""Three heartbeats of 30 s that do not come, 15 s of a crash that stays, and a start."""


@contextmanager
def begun() -> Iterator[tuple[Platform, Asking, Path, list[bytes]]]:
    """A platform, rows, and what the slow fit finds when nobody strikes."""
    with TemporaryDirectory(prefix="gmm-platform-") as made:
        rows = stored(Path(made))
        expected = undisturbed_bits(rows, Path(made))
        with platform(Path(made) / "platform") as there, Asking.of(there) as asking:
            yield there, asking, rows, expected


def struck(scale: Scale, seed: int) -> Outcome:
    """Each fault once, and all runs to their ends."""
    del scale, seed  # one of each takes minutes; the moment is the third checkpoint
    outcome = Outcome()
    with begun() as (there, asking, rows, expected):
        for strike in (flow_killed, worker_killed_too, server_down, overlapping):
            with outcome.trying(strike.__name__.replace("_", " ")):
                recover(strike, there, asking, rows, expected, outcome)
    return outcome


Strike = Callable[[Platform, Asking, Path], str]


def recover(
    strike: Strike,
    there: Platform,
    asking: Asking,
    rows: Path,
    expected: list[bytes],
    outcome: Outcome,
) -> None:
    """Strike; what the fit has ended with is what it would have ended with."""
    name = strike.__name__.replace("_", "-")
    began = time.monotonic()
    told = strike(there, asking, rows)
    assert bits(there.runs / name) == expected, "other bits"
    outcome.figures[name.replace("-", " ")] = f"{told}; {time.monotonic() - began:.0f} s in all"


def flow_killed(there: Platform, asking: Asking, rows: Path) -> str:
    """SIGKILL of the flow: its worker says so, and it is started again once."""
    with there.worker():
        run = begin_slow(asking, rows, "flow-killed")
        killed(flow_process(run))
        asking.ends_as(run, StateType.CRASHED, PATIENCE)
        ended = asking.ends_as(run, StateType.COMPLETED, PATIENCE)
    assert ended.run_count == 2, f"started {ended.run_count} times"
    return "recorded as crashed, started again once"


def worker_killed_too(there: Platform, asking: Asking, rows: Path) -> str:
    """SIGKILL of worker and flow: nobody can say so, and heartbeats that do not come do."""
    with there.worker() as worker:
        run = begin_slow(asking, rows, "worker-killed-too")
        flow = flow_process(run)
        killed(psutil.Process(worker.pid))
        killed(flow)
    with there.worker():
        struck_at = time.monotonic()
        asking.ends_as(run, StateType.CRASHED, PATIENCE)
        noticed = time.monotonic() - struck_at
        ended = asking.ends_as(run, StateType.COMPLETED, PATIENCE)
    assert ended.run_count == 2, f"started {ended.run_count} times"
    assert noticed < RECOVERY_BAR, f"noticed after {noticed:.0f} s"
    return f"recorded as crashed after {noticed:.0f} s, started again once"


def server_down(there: Platform, asking: Asking, rows: Path) -> str:
    """The server killed for a minute: the fit goes on, and is recorded in the end."""
    with there.worker():
        run = begin_slow(asking, rows, "server-down")
        before = iterations(asking, "server-down")
        killed(psutil.Process(there.server.pid))
        there.server.wait()
        time.sleep(DOWN)
        meanwhile = iterations(asking, "server-down") - before
        there.start_server()
        asking.ends_as(run, StateType.COMPLETED, PATIENCE)
    return f"{meanwhile} iterations while it was down"


def overlapping(there: Platform, asking: Asking, rows: Path) -> str:
    """Two of one schedule: one runs, the other leaves it to it; the next finds it finished."""
    with there.worker():
        started = [ask_slow(asking, rows, "overlapping") for _ in range(2)]
        ends = {asking.ended(run, PATIENCE).state.name for run in started}
        assert ends == {"Completed", "Busy"}, ends
        third = ask_slow(asking, rows, "overlapping")
        asking.ends_as(third, StateType.COMPLETED, PATIENCE)
        assert "is finished: nothing to do" in asking.log(third)
    return "one ran, one left, the next had nothing to do"


def killed(process: psutil.Process | None) -> None:
    """SIGKILL, and gone."""
    assert process is not None, "it has ended already"
    process.kill()
    until(lambda: not process.is_running() or process.status() == "zombie", 10, "its end")
