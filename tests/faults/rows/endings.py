"""Row 31: everything ends, and says what it waits for: schedulers, stores and ports that are there
and do not answer, for whoever waits and for whoever is asked to stop meanwhile.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil

from tests.chunked.conftest import store
from tests.faults.cluster import processes_of, until
from tests.faults.outcome import Outcome, Scale

STOPPED_BAR, REACHED_BAR, SILENT_BAR = 15.0, 15.0, 100.0
STARTED = 10.0
"""Seconds that a command may take before it waits at all."""
COMMAND = [sys.executable, "-m", "gmm_dask"]
ENDLESS = ["-k", "5", "--tol", "0", "--max-iter", "100000", "--cache", "none"]


def ended(scale: Scale, seed: int) -> Outcome:
    """Each kind of silence: how long until the word, until an error, until the end by a signal."""
    outcome = Outcome()
    with TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        rows = np.random.default_rng(seed).normal(size=(20_000, 4))
        store(folder / "rows.zarr", rows, chunks=(1000, 4))
        _port(outcome, folder)
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals if scale == "full" else signals[:1]:
            _scheduler(outcome, folder, number)
            _store(outcome, folder, number)
        if scale == "full":
            _scheduler(outcome, folder, None)
            _store(outcome, folder, None)
            _store(outcome, folder, None, "--workers", "2")
    return outcome


def _port(outcome: Outcome, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as port:
        address = f"tcp://127.0.0.1:{port.getsockname()[1]}"
        fit = ["fit", "rows.zarr", "-k", "2", "--scheduler", address]
        for command in (fit, ["doctor", "--scheduler", address]):
            what = f"a silent port, {command[0]}"
            with outcome.trying(what):
                began = time.monotonic()
                told = _told(_begun(folder, command))
                took = time.monotonic() - began
                outcome.recovered(took, bar=REACHED_BAR + STARTED, after=what)
                assert "answers at" in told, told
                assert "waiting for the scheduler" in told, told


def _scheduler(outcome: Outcome, folder: Path, number: signal.Signals | None) -> None:
    """Frozen within a fit; then a signal after the first word, or none."""
    what = f"a frozen scheduler, {_name(number)}"
    run = folder / re.sub(r"\W+", "-", what)
    with outcome.trying(what), processes_of(1) as cluster:
        fitting = _fitting(folder, run, "rows.zarr", "--scheduler", cluster.address)
        cluster.scheduler.suspend()
        _to_its_end(outcome, fitting, number, what, "the scheduler")


def _store(outcome: Outcome, folder: Path, number: signal.Signals | None, *options: str) -> None:
    """Rows over HTTP, from a server that is frozen within a fit."""
    what = " ".join(["a frozen store,", _name(number), *options])
    run = folder / re.sub(r"\W+", "-", what)
    with outcome.trying(what), _served(folder) as (server, address):
        fitting = _fitting(folder, run, f"{address}/rows.zarr", *options)
        server.suspend()
        _to_its_end(outcome, fitting, number, what, "rows ")


def _to_its_end(
    outcome: Outcome,
    fitting: subprocess.Popen[str],
    number: signal.Signals | None,
    what: str,
    waits_for: str,
) -> None:
    began, bar = time.monotonic(), SILENT_BAR
    if number is not None:
        time.sleep(14)
        began, bar = time.monotonic(), STOPPED_BAR
        fitting.send_signal(number)
    told = _told(fitting)
    took = time.monotonic() - began
    outcome.recovered(took, bar=bar, after=what)
    outcome.figures[what] = f"{took:.1f} s"
    assert f"waiting for {waits_for}" in told, told
    assert fitting.returncode == (1 if number is None else 130), told
    assert "Traceback" not in told, told
    assert number is None or "a checkpoint of iteration" in told, told


def _name(number: signal.Signals | None) -> str:
    return "waited for" if number is None else number.name


def _begun(folder: Path, command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _fitting(folder: Path, run: Path, source: str, *options: str) -> subprocess.Popen[str]:
    """A fit that has made five iterations."""
    fitting = _begun(folder, ["fit", source, *ENDLESS, "--out", str(run), *options])
    history = run / "history.jsonl"
    until(
        lambda: (
            fitting.poll() is not None
            or (history.exists() and history.read_bytes().count(b"\n") >= 5)
        )
    )
    return fitting


def _told(command: subprocess.Popen[str]) -> str:
    try:
        return command.communicate(timeout=300)[0]
    finally:
        command.kill()


@contextmanager
def _served(folder: Path) -> Iterator[tuple[psutil.Popen, str]]:
    """A server of files as a process of its own."""
    server = psutil.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        found = re.search(r"http://127.0.0.1:\d+", server.stdout.readline())
        assert found, "it does not serve"
        yield server, found[0]
    finally:
        server.kill()
        server.wait(timeout=10)
        server.stdout.close()
