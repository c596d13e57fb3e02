"""The command as a person runs it: a process of its own, on real stores."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100", "MPLBACKEND": "Agg"}
COMMAND = [sys.executable, "-m", "gmm_dask"]


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)

    def well(self) -> "Done":
        assert self.code == 0, self.err
        assert "Traceback" not in self.err
        return self

    def refused(self, code: int = 2) -> str:
        """The one sentence that says why."""
        assert self.code == code, self.err
        assert "Traceback" not in self.err
        assert not self.out
        return self.err.strip().splitlines()[-1]


class Preloaded:
    """The process whose forks run commands."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.preloaded"],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, folder: Path, arguments: list[str], environment: dict[str, str]) -> Done:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        out, err = folder / ".out", folder / ".err"
        request = {"arguments": arguments, "folder": str(folder), "out": str(out), "err": str(err)}
        request["environment"] = environment
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        return Done(code, out.read_text(), err.read_text())

    def close(self) -> None:
        self.process.communicate(timeout=10)


class Shell:
    """Commands in one folder: called, in a fork of what is loaded; started, from nothing."""

    def __init__(self, folder: Path, preloaded: Preloaded) -> None:
        self.folder, self.preloaded = folder, preloaded

    def __call__(self, *arguments: object, **environment: str) -> Done:
        return self.preloaded(self.folder, [str(one) for one in arguments], environment)

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=ENVIRONMENT | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, process: subprocess.Popen[str]) -> Done:
        out, err = process.communicate(timeout=120)
        return Done(process.returncode, out, err)

    def interrupt(
        self, process: subprocess.Popen[str], number: signal.Signals, run: str, iterations: int
    ) -> Done:
        """Send a signal once the history has so many lines; Ctrl-C reaches the whole group."""
        history, deadline = self.folder / run / "history.jsonl", time.monotonic() + 60
        while not history.exists() or history.read_bytes().count(b"\n") < iterations:
            assert process.poll() is None, self.end(process)
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        return self.end(process)


@pytest.fixture(scope="session")
def preloaded() -> Iterator[Preloaded]:
    process = Preloaded()
    yield process
    process.close()


@pytest.fixture
def shell(tmp_path: Path, preloaded: Preloaded) -> Shell:
    return Shell(tmp_path, preloaded)


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory, preloaded: Preloaded) -> Shell:
    """A store of rows and a finished run on it, to look at but not to change."""
    shell = Shell(tmp_path_factory.mktemp("workplace"), preloaded)
    make = "data make blobs --rows 6000 --features 3 --components 3 --chunk-rows 1000 --out b.zarr"
    shell(*make.split()).well()
    shell.end(shell.start("fit", "b.zarr", "-k", 3, "--out", "runs/b")).well()
    return shell
