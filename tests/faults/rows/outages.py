"""Rows 36 and 37: flows that share a Dask scheduler, and Prefect's server away for ten minutes.

The small versions are in tests/flows/test_platform.py.
"""

import time
from pathlib import Path
from uuid import UUID

from prefect.client.schemas.objects import StateType

from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.platform import begun
from tests.flows.asking import Asking
from tests.flows.servers import free_port, until
from tests.flows.slow import SLOW, begin_slow, bits, flow_process, iterations
from tests.flows.test_platform import dask_at

DOWN = 600.0
PATIENCE = 300.0
BACK = 45.0
"""Seconds after an outage in which all goes on."""
LATE = 5.0
"""Seconds that an iteration, of a tenth of one, may take on a machine that does other things."""


# -- row 36 ------------------------------------------------------------------------------------


def shared(scale: Scale, seed: int) -> Outcome:
    """Two flows on one scheduler: either ends first, or is killed beside the other."""
    del scale, seed
    outcome, address = Outcome(), f"tcp://127.0.0.1:{free_port()}"
    with begun() as (there, asking, rows, expected), there.worker(), dask_at(address):
        for name, strike in {"first": nothing, "killed": flow_killed}.items():
            with outcome.trying(name):
                slow = begin_slow(asking, rows, f"{name}-slow", cluster={"scheduler": address})
                other = begin_slow(asking, rows, f"{name}-other", cluster={"scheduler": address})
                strike(asking, other)
                for run in (slow, other):
                    asking.ends_as(run, StateType.COMPLETED, PATIENCE)
                for run in ("slow", "other"):
                    assert bits(there.runs / f"{name}-{run}") == expected, "other bits"
    return outcome


def nothing(asking: Asking, run: UUID) -> None:
    """Whichever is done first ends first."""


def flow_killed(asking: Asking, run: UUID) -> None:
    """SIGKILL of one of the two: it cannot take away what it has put on the cluster."""
    process = flow_process(run)
    assert process is not None, "it has ended already"
    process.kill()
    asking.ends_as(run, StateType.CRASHED, PATIENCE)


# -- row 37 ------------------------------------------------------------------------------------


def server_away(scale: Scale, seed: int) -> Outcome:
    """Ten minutes without Prefect's server: of a fit that goes on all the time, of one that ends
    meanwhile, and of one that is killed meanwhile."""
    del scale, seed
    outcome = Outcome()
    with begun() as (there, asking, rows, expected), there.worker():
        lasting = begin_lasting(asking, rows, "lasting")
        killed = begin_lasting(asking, rows, "killed")
        ending = begin_slow(asking, rows, "ending")
        there.server.kill()
        there.server.wait()
        down = time.monotonic()
        victim = flow_process(killed)
        assert victim is not None
        victim.kill()
        with outcome.trying("no iteration is late"):
            gap = longest_gap(there.runs / "lasting/history.jsonl", DOWN)
            outcome.figures["longest time between two iterations"] = f"{gap:.1f} s"
            assert gap < LATE, f"{gap:.1f} s between two iterations"
        assert (there.runs / "ending/FINISHED.json").exists()
        there.start_server()
        back = time.monotonic()
        outcome.figures["the server was away for"] = f"{back - down:.0f} s"
        with outcome.trying("what has ended publishes"):
            asking.ends_as(ending, StateType.COMPLETED, PATIENCE)
            outcome.recovered(time.monotonic() - back, bar=BACK, after="the end of a fit")
            assert {"progress", "fit", "history"} <= set(asking.artifacts(ending))
            assert bits(there.runs / "ending") == expected, "other bits"
        with outcome.trying("what was killed starts again"):
            reached = iterations(asking, "killed")
            until(lambda: iterations(asking, "killed") > reached, PATIENCE, "it goes on")
            outcome.recovered(time.monotonic() - back, bar=BACK, after="a driver killed meanwhile")
        with outcome.trying("what goes on is not taken for dead"):
            assert "AwaitingRetry" not in asking.states(lasting)
            assert asking.read(lasting).state.type == StateType.RUNNING
        for run in (lasting, killed):
            with outcome.trying("what is cancelled ends"):
                asking.cancel(run)
    return outcome


def begin_lasting(asking: Asking, rows: Path, name: str) -> UUID:
    """A fit that does not end by itself."""
    run = asking.run(
        "fit-mixture/fit",
        source=str(rows / "slow.zarr"),
        mixture={**SLOW, "components": 24, "max_iter": 1_000_000},
        run=name,
        rows={"array": "rows"},
        checkpoint_every=10,
    )
    until(lambda: iterations(asking, name) >= 3, PATIENCE, f"the first iterations of {name}")
    return run


def longest_gap(history: Path, seconds: float) -> float:
    """The longest time in which a history did not grow."""
    end = time.monotonic() + seconds
    size, grown, longest = history.stat().st_size, time.monotonic(), 0.0
    while time.monotonic() < end:
        time.sleep(0.1)
        if history.stat().st_size != size:
            longest = max(longest, time.monotonic() - grown)
            size, grown = history.stat().st_size, time.monotonic()
    return max(longest, time.monotonic() - grown)
