"""Programs as an operator starts them: real processes with a log, ended by their ids."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DEPLOY = ROOT / "deploy"
PATIENCE = 120.0
"""Seconds to wait for what must come; far above what a quiet machine needs."""
CLEAN = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith(("DASK", "PREFECT", "SLURM"))
}
ENVIRONMENT = CLEAN | {
    "PATH": f"{BIN}{os.pathsep}{CLEAN.get('PATH', '')}",
    "PYTHONPATH": str(ROOT),
    "MPLBACKEND": "Agg",
    "COLUMNS": "100",
}


def until(holds: Callable[[], bool], what: Callable[[], object] = str, pause: float = 0.1) -> None:
    """Wait for what sends no event; where it does not come, `what` tells more."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain: {what()}"
        time.sleep(pause)


def run(command: Sequence[object], **variables: str) -> subprocess.CompletedProcess[str]:
    """A command to its end."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=ENVIRONMENT | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def well(command: Sequence[object], **variables: str) -> str:
    """What a command that must succeed writes to standard output."""
    done = run(command, **variables)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass
class Processes:
    """Several of them, with their logs in one folder."""

    folder: Path
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(
        self, name: str, command: Sequence[object], **variables: str
    ) -> subprocess.Popen[bytes]:
        """In a group of its own, so that nothing of it is left over."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.started[name] = subprocess.Popen(
                [str(part) for part in command],
                cwd=self.folder,
                env=ENVIRONMENT | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.started[name]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def end(self) -> None:
        """All of them at once, with their groups: tests that end one gently do so themselves."""
        for process in self.started.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def processes_in(folder: Path) -> Iterator[Processes]:
    processes = Processes(folder)
    try:
        yield processes
    finally:
        processes.end()
