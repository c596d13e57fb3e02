"""Machines whose clocks are wrong by minutes, or are set while they hold a lease.

By a library of one's own, for CPython waits by CLOCK_MONOTONIC in ways that libfaketime breaks.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gmm_dask.runs.checkpoint import load_newest
from gmm_dask.store.location import open_folder
from tests.store.test_lease import SAVER, TIME_TO_LIVE

pytestmark = [pytest.mark.needs("gcc"), pytest.mark.timed]

GRAIN = 2.0
"""Seconds by which a lease is kept longer: an object store's times have no parts of seconds."""

WRONG = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long wrong_by(void) {
    long seconds = 0;
    FILE *file = fopen(getenv("WRONG_CLOCK"), "r");
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += wrong_by();
    return failed;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    now->tv_sec = fine.tv_sec; now->tv_usec = fine.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *now) {
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    return now ? (*now = fine.tv_sec) : fine.tv_sec;
}
"""

TAKER = """
import sys
from gmm_dask.store.errors import RunIsBusy
from gmm_dask.runs.folder import open_run
from time import monotonic, sleep
began = monotonic()
while True:
    try:
        open_run(sys.argv[1], configuration={}, fingerprint={}, seed=1, time_to_live=1.0).close()
        break
    except RunIsBusy:
        print("busy", flush=True)
        sleep(0.2)
print("taken", flush=True)
"""


@pytest.fixture
def where(s3_bucket: str) -> str:
    return f"{s3_bucket}/{secrets.token_hex(4)}/run"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clock")
    (folder / "wrong.c").write_text(WRONG)
    command = ["gcc", "-shared", "-fPIC", "-o", "wrong.so", "wrong.c"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "wrong.so"


@dataclass(frozen=True)
class Machine:
    """One with a clock that can be set."""

    clock: Path
    library: Path

    def set(self, seconds: int) -> None:
        """So many seconds ahead of the store's."""
        new = self.clock.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self.clock)

    @contextmanager
    def running(self, program: str, where: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, where],
            env={**os.environ, "WRONG_CLOCK": str(self.clock), "LD_PRELOAD": str(self.library)},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def machines(library: Path, tmp_path: Path) -> tuple[Machine, Machine]:
    one, other = (Machine(tmp_path / name, library) for name in ("one", "other"))
    return one, other


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_clock_set_in_a_process_is_seen_there(machines: tuple[Machine, Machine]) -> None:
    machines[0].set(86_400)
    with machines[0].running("import time; print(time.time())", "") as process:
        assert abs(float(line(process)) - time.time() - 86_400) < 60


@pytest.mark.parametrize("ahead", [600, -600])
def test_clocks_that_disagree_neither_free_a_lease_nor_keep_it(
    machines: tuple[Machine, Machine], ahead: int, where: str
) -> None:
    for machine, seconds in zip(machines, (ahead, -ahead), strict=True):
        machine.set(seconds)
    with machines[0].running(SAVER, where) as first:
        assert line(first) == "holding"
        with machines[1].running(TAKER, where) as second:
            for _ in range(2):
                assert line(second) == "busy"
            first.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            while line(second) != "taken":
                assert time.monotonic() - stopped < TIME_TO_LIVE + GRAIN + 2


def test_a_clock_that_is_set_costs_its_holder_nothing(
    machines: tuple[Machine, Machine], where: str
) -> None:
    holder, other = machines
    with holder.running(SAVER, where) as first:
        assert line(first) == "holding"
        with other.running(TAKER, where) as second:
            for step in (3_600, -3_600, 86_400, -600, 0):
                holder.set(step)
                found = newest(where)
                for _ in range(2):
                    assert line(second) == "busy"
                assert newest(where) > found
            assert first.poll() is None


def newest(where: str) -> int:
    found = load_newest(open_folder(f"{where}/attempt-00000001"))
    return -1 if found is None else found.iteration
