"""Drivers killed at random moments and started again; two drivers on one run folder."""

import os
import queue
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil
import pytest
from distributed import Client

from tests.faults.cluster import SEED, until
from tests.faults.drivers import Drivers, drivers
from tests.faults.fits import SWEEPS

KILLS = int(os.environ.get("GMM_DASK_DRIVER_KILLS", "12"))
LONGEST_WAIT = 0.15
"""Seconds, drawn up to this: a few passes, or the way from the start to the first one."""


@dataclass(frozen=True)
class Life:
    """How a driver is started, and when it is to die."""

    on_cluster: bool
    cache: str
    iterations: int
    seconds: float

    @classmethod
    def drawn(cls, draw: Random) -> "Life":
        return cls(
            draw.random() < 0.5,
            draw.choice(["memory", "none"]),
            draw.choice([0, 0, 1, 2, 3, SWEEPS]),
            draw.uniform(0, LONGEST_WAIT),
        )


@pytest.fixture(scope="module")
def forked() -> Iterator[Drivers]:
    with drivers() as started:
        yield started


@dataclass
class Run:
    """A run folder, and what was heard of it."""

    folder: Path
    last: int = -1
    digest: str | None = None

    def live(self, forked: Drivers, source: str, scheduler: str, life: Life | None) -> None:
        """One driver, to its end: its own or the one that was drawn."""
        on_cluster = life is None or life.on_cluster
        process = forked.start(
            source=source,
            run=str(self.folder),
            scheduler=scheduler if on_cluster else None,
            cache="auto" if life is None else life.cache,
        )
        code, heard = self._hear(forked, process, life)
        assert code in ((0,) if life is None else (0, -signal.SIGKILL)), life
        if heard:
            # Told of iteration n: n - 1 is durable, and n itself may be.
            assert heard[0] in (max(self.last, 0), self.last + 1), (self.last, heard)
            assert heard == list(range(heard[0], heard[-1] + 1))
            self.last = heard[-1]

    def _hear(self, forked: Drivers, process: int, life: Life | None) -> tuple[int, list[int]]:
        heard: list[int] = []
        struck = life is None
        while True:
            due = not struck and life is not None and len(heard) >= life.iterations
            try:
                _, told, *rest = forked.hear(life.seconds) if due and life else forked.hear()
            except queue.Empty:
                if not due:
                    raise
                psutil.Process(process).kill()
                struck = True
                continue
            if told == "ended":
                return int(rest[0]), heard
            if told == "iteration":
                heard.append(int(rest[0]))
            elif told == "digest":
                self.digest = rest[0]


def test_killed_at_random_moments(
    cluster: Client, stored: str, undisturbed: str, forked: Drivers, tmp_path: Path
) -> None:
    """Every driver but the last of each run is killed; nothing that was acknowledged is lost."""
    draw = Random(SEED)
    sys.stdout.write(f"GMM_DASK_FAULT_SEED={SEED} GMM_DASK_DRIVER_KILLS={KILLS}\n")
    address = cluster.scheduler.address
    lives, runs = 0, 0
    while lives < KILLS:
        runs += 1
        run = Run(tmp_path / f"run-{runs}")
        for _ in range(min(6, KILLS - lives)):
            life = Life.drawn(draw)
            sys.stdout.write(f"{run.folder.name}, after iteration {run.last}: {life}\n")
            run.live(forked, stored, address, life)
            lives += 1
        run.live(forked, stored, address, None)
        assert run.digest == undisturbed
    # A dead driver's rows and results are let go of.
    until(lambda: not cluster.cluster.scheduler.tasks)


def test_a_second_driver_leaves_at_once(
    stored: str, undisturbed: str, forked: Drivers, tmp_path: Path
) -> None:
    assert (
        a_second_driver_leaves(forked, stored, undisturbed, tmp_path / "run") < 3
    )  # here, beside others


def a_second_driver_leaves(forked: Drivers, stored: str, undisturbed: str, run: Path) -> float:
    """Seconds until a second driver is refused; the first one comes through undisturbed."""
    order = {"source": stored, "run": str(run), "scheduler": None, "cache": "none"}
    first = forked.start(**order)
    while forked.hear() != (str(first), "iteration", "2"):
        pass
    os.kill(first, signal.SIGSTOP)  # so that whatever changes now, the second has done
    try:
        until(lambda: all_stopped(first))
        before = contents(run)
        second = forked.start(**order)
        while (words := forked.hear())[0] != str(second):
            pass
        assert words[1:3] == ("refused", "RunIsBusy")
        seconds = float(words[3])
        assert contents(run) == before
    finally:
        os.kill(first, signal.SIGCONT)
    while (words := forked.hear())[1] != "digest":
        pass
    assert words == (str(first), "digest", undisturbed)
    return seconds


def all_stopped(process: int) -> bool:
    """Whether every thread of a process stands still: a signal to stop takes its time."""
    threads = psutil.Process(process).threads()
    return all(psutil.Process(t.id).status() == psutil.STATUS_STOPPED for t in threads)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its bytes and the time when it was last written to."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }
