"""Clusters of real processes, and faults that strike them at agreed moments of a fit.

A moment is a place in the fit ("when 3 tasks of sweep 4 have ended"), not a time, and the victims
are drawn from a seed: a `Schedule` printed by a failing test can be played again. A larger matrix
is more seeds, or another list of faults: every name in FAULTS is one.
"""

import asyncio
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import dask
import numpy as np
import psutil
from distributed import Client, LocalCluster, Nanny, SchedulerPlugin
from distributed.protocol.pickle import dumps
from distributed.utils import get_mp_context

from tests.chunked.conftest import local_cluster

SEED = int(os.environ.get("GMM_DASK_FAULT_SEED", "0"))
"""The first seed of schedules; a failure prints the one it had."""

SWEEP = re.compile(r"sweep-\w+-it(\d+)(-\d+)?")
PATIENCE = 120.0
"""Seconds to wait for what must come; far above what a quiet machine needs."""


# -- clusters -----------------------------------------------------------------------------------


@contextmanager
def cluster_of(workers: int, threads: int = 1, **options: Any) -> Iterator[Client]:
    """A LocalCluster on loopback; its workers are forked off a warm process, in 0.2 s each."""
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        warm = ["distributed", "gmm_dask.fitting.fit", "tests.faults.cluster"]
        get_mp_context()
        multiprocessing.get_context("forkserver").set_forkserver_preload(warm)
        with local_cluster(workers, threads, **options) as client:
            yield client


def scaled(client: Client, workers: int) -> None:
    """Bring the cluster to so many workers, and wait until it has exactly them."""
    client.cluster.scale(workers)
    client.sync(client.cluster._correct_state)
    whole(client, workers)


def whole(client: Client, workers: int) -> None:
    """Wait until so many workers run, and no more."""
    client.wait_for_workers(workers, timeout=PATIENCE)
    until(lambda: len(client.nthreads()) == workers)


def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for what sends no event."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@dataclass
class Processes:
    """A scheduler and its workers as processes of their own, as on several machines."""

    address: str
    scheduler: psutil.Popen
    workers: list[psutil.Popen]

    def family(self) -> list[psutil.Process]:
        """All of them, with what they have started."""
        parents = [self.scheduler, *self.workers]
        children = []
        for parent in parents:
            with suppress(psutil.NoSuchProcess):
                children += parent.children(recursive=True)
        return [*parents, *children]


@contextmanager
def processes_of(workers: int, **environment: str) -> Iterator[Processes]:
    """`dask scheduler` and `dask worker` on loopback; ended by their ids."""
    # the scheduler tells its address in its log, whatever this process has made of logging
    variables = {**os.environ, "DASK_LOGGING__DISTRIBUTED": "info", **environment}
    quiet = ["--no-dashboard", "--host", "127.0.0.1"]
    scheduler = _begun(["scheduler", "--port", "0", *quiet], variables)
    made = Processes(_address(scheduler), scheduler, [])
    try:
        for _ in range(workers):
            made.workers.append(
                _begun(["worker", made.address, "--nthreads", "1", *quiet], variables)
            )
        yield made
    finally:
        ended = made.family()
        for process in ended:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(ended, timeout=10)
        scheduler.stderr.close()


def _begun(arguments: Sequence[str], environment: dict[str, str]) -> psutil.Popen:
    return psutil.Popen(
        [sys.executable, "-m", "dask", *arguments],
        env=environment,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if arguments[0] == "scheduler" else subprocess.DEVNULL,
    )


def _address(scheduler: psutil.Popen) -> str:
    for line in scheduler.stderr:
        if found := re.search(r"Scheduler at:\s+(tcp://\S+)", line):
            return found[1]
    raise AssertionError("the scheduler ended before it listened")


# -- schedules ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Strike:
    """A fault, and its moment: when so many tasks of this sweep have ended."""

    sweep: int
    after: int
    fault: str


@dataclass(frozen=True)
class Schedule:
    """Strikes, and the seed that they and their victims are drawn from."""

    seed: int
    strikes: tuple[Strike, ...]

    @classmethod
    def drawn(cls, seed: int, faults: Sequence[str], *, sweeps: int, tasks: int) -> "Schedule":
        """One moment for each fault, in different sweeps, in the middle of them."""
        draw = random.Random(seed)
        chosen = sorted(draw.sample(range(1, sweeps), len(faults)))
        moments = [draw.randint(1, max(1, tasks // 2)) for _ in faults]
        return cls(seed, tuple(map(Strike, chosen, moments, faults)))


@dataclass
class Striker(SchedulerPlugin):
    """Counts the tasks of sweeps as they end, on the scheduler, and strikes when it is time."""

    cluster: LocalCluster
    schedule: Schedule
    name: str = "striker"
    ended: Counter[int] = field(default_factory=Counter)
    workers: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    struck: list[Strike] = field(default_factory=list)
    hung: list[psutil.Process] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    problems: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.schedule.seed)

    def transition(self, key: Any, start: str, finish: str, *_: Any, **told: Any) -> None:
        sweep = sweep_of(key)
        if (start, finish) != ("processing", "memory") or sweep is None:
            return
        self.ended[sweep] += 1
        self.workers[sweep].add(told["worker"])
        for strike in self.due(sweep):
            self.struck.append(strike)
            try:
                FAULTS[strike.fault](self)
            except Exception as problem:  # else it would be a line in the scheduler's log
                self.problems.append(problem)

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:  # noqa: ARG002
        self.gone.add(worker)

    def due(self, sweep: int) -> list[Strike]:
        return [
            strike
            for strike in self.schedule.strikes
            if strike.sweep == sweep
            and strike.after <= self.ended[sweep]
            and strike not in self.struck
        ]

    def victims(self, count: int) -> list[Nanny]:
        """So many of the living; a negative count spares so many.

        One that is still starting is no victim: its nanny would not start another.
        """
        present = self.cluster.scheduler.workers
        nannies = [nanny for _, nanny in sorted(self.cluster.workers.items())]
        living = [n for n in nannies if n.pid is not None and n.worker_address in present]
        count = count if count > 0 else len(living) + count
        return self.draw.sample(living, min(count, len(living)))

    def clear(self) -> None:
        """Nothing stays stopped."""
        for process in self.hung:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def sweep_of(key: Any) -> int | None:
    """The number of the sweep that a task belongs to."""
    found = SWEEP.fullmatch(key[0]) if isinstance(key, tuple) else None
    return None if found is None else int(found[1])


@contextmanager
def watching(client: Client, plugin: SchedulerPlugin) -> Iterator[None]:
    """A plugin of this process's scheduler, called in the thread of its loop."""
    scheduler = client.cluster.scheduler

    async def add() -> None:
        scheduler.add_plugin(plugin)

    async def remove() -> None:
        scheduler.remove_plugin(plugin.name)

    client.cluster.sync(add)
    try:
        yield
    finally:
        client.cluster.sync(remove)


@contextmanager
def striking(client: Client, schedule: Schedule) -> Iterator[Striker]:
    """Faults as scheduled while this is open; in the end all of them have struck."""
    sys.stdout.write(f"{schedule}\n")  # shown where a test fails
    striker = Striker(client.cluster, schedule)
    try:
        with watching(client, striker):
            yield striker
            fatal = sum(strike.fault != "one comes" for strike in striker.struck)
            until(lambda: len(striker.gone) >= fatal)  # a nanny takes its time to kill
    finally:
        striker.clear()
    assert not striker.problems
    assert len(striker.struck) == len(schedule.strikes), f"struck only {striker.struck}"


# -- faults -------------------------------------------------------------------------------------


def kill(count: int) -> Callable[[Striker], None]:
    """SIGKILL; the nannies start others."""

    def strike(striker: Striker) -> None:
        for nanny in striker.victims(count):
            os.kill(nanny.pid, signal.SIGKILL)

    return strike


def lose(count: int) -> Callable[[Striker], None]:
    """SIGKILL, and nobody starts others: as when machines go."""

    def strike(striker: Striker) -> None:
        for nanny in striker.victims(count):
            nanny.close_gracefully()
            os.kill(nanny.pid, signal.SIGKILL)

    return strike


def hang(striker: Striker) -> None:
    """SIGSTOP: the process is there and does not answer."""
    for nanny in striker.victims(1):
        process = psutil.Process(nanny.pid)
        process.suspend()
        striker.hung.append(process)


def leave(striker: Striker) -> None:
    """One worker retires in good order, handing over what it holds."""
    striker.cluster.scale(len(striker.cluster.workers) - 1)


def come(striker: Striker) -> None:
    """One worker more, as soon as it has started."""
    striker.cluster.scale(len(striker.cluster.workers) + 1)


def overfill(striker: Striker) -> None:
    """A worker takes more than its memory limit; its nanny kills it."""
    addresses = [nanny.worker_address for nanny in striker.victims(1)]
    asyncio.ensure_future(_run_on(striker.cluster, addresses, fill, 1.5))  # noqa: RUF006


async def _run_on(
    cluster: LocalCluster, workers: list[str], function: Callable[..., None], *arguments: Any
) -> None:
    message = {
        "op": "run",
        "function": dumps(function),
        "args": dumps(arguments),
        "kwargs": dumps({}),
        "wait": True,
    }
    with suppress(OSError):  # the worker dies over it
        await cluster.scheduler.broadcast(msg=message, workers=workers, on_error="ignore")


BALLAST: list[Any] = []


def fill(share: float, dask_worker: Any) -> None:
    """Bring this worker's process to a share of its memory limit."""
    present = psutil.Process().memory_info().rss
    missing = share * dask_worker.memory_manager.memory_limit - present
    BALLAST.append(np.ones(max(0, int(missing)), dtype=np.uint8))


def empty() -> None:
    """Let go of what `fill` took."""
    BALLAST.clear()


FAULTS: dict[str, Callable[[Striker], None]] = {
    "one killed": kill(1),
    "all but one killed": kill(-1),
    "all killed": kill(1000),
    "all lost": lose(1000),
    "one hung": hang,
    "one over its memory": overfill,
    "one leaves": leave,
    "one comes": come,
}
MENDED = ("one killed", "all but one killed", "all killed", "one hung", "one over its memory")
"""Those after which a cluster with nannies is soon whole again."""
