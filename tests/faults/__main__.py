"""Hold this library to the matrix of faults.

    python -m tests.faults [--rows 1,6] [--seed 0] [--scale small|full]

Each row runs in a process of its own with a limit of time, so that none can hang or spoil another;
its outcome goes to results/, and RESULTS.md is written anew from there. The exit code is 1 where a
bar was not met.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from tests.faults.matrix import ROWS, Row
from tests.faults.outcome import Outcome
from tests.faults.results import save, write_table

ROOT = Path(__file__).parent.parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    given = _given(arguments)
    if given.one is not None:
        return _here(ROWS[given.one], given)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what has begun is ended
    lanes: dict[str, list[Row]] = {}
    for number in given.rows:
        lanes.setdefault(ROWS[number].lane, []).append(ROWS[number])
    with (
        TemporaryDirectory(prefix="faults-") as logs,
        ThreadPoolExecutor(len(lanes)) as pool,
        _Begun(given, Path(logs)) as begun,
    ):
        held = list(pool.map(begun.run_in_turn, lanes.values()))
    return 0 if all(held) else 1


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--rows", type=_numbers, default=sorted(ROWS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", choices=("small", "full"), default="full")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _numbers(told: str) -> list[int]:
    return [int(number) for number in told.split(",")]


def _here(row: Row, given: argparse.Namespace) -> int:
    """Run one row in this process."""
    started = time.monotonic()
    outcome = Outcome()
    with outcome.trying("the row itself", cases=0):
        outcome = row.function()(given.scale, given.seed)
    save(row, outcome, given.scale, given.seed, time.monotonic() - started)
    for why in outcome.broken:
        say(f"not held: {why}")
    return 0 if outcome.held else 1


class _Process:
    """A row under way, in a session of its own: with it ends all that it has started."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.log, self.started = log, time.monotonic()
        with log.open("w") as told:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=told, stderr=subprocess.STDOUT, start_new_session=True
            )

    def wait(self, limit: float) -> int | None:
        """The exit code, None where the limit was reached."""
        try:
            return self.process.wait(max(1.0, self.started + limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None
        finally:
            self.end()

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class _Begun:
    """Rows under way, one of each lane; all are ended when this is left."""

    def __init__(self, given: argparse.Namespace, logs: Path) -> None:
        self.given, self.logs = given, logs
        self.running: set[_Process] = set()
        self.over = False
        self.lock = Lock()

    def __enter__(self) -> "_Begun":
        return self

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.over = True
            for process in self.running:
                process.end()

    def run_in_turn(self, rows: Sequence[Row]) -> bool:
        return all([self._run(row) for row in rows])  # noqa: C419 - a lost one stops no other

    def _run(self, row: Row) -> bool:
        given = self.given
        command = [sys.executable, "-m", "tests.faults", "--one", str(row.number)]
        command += ["--seed", str(given.seed), "--scale", given.scale]
        with self.lock:
            if self.over:
                return False
            process = _Process(command, self.logs / f"row-{row.number:02d}.log")
            self.running.add(process)
        code = process.wait(row.limit)
        with self.lock:
            self.running.discard(process)
            return self.over or _told(row, process, code, given)


def _told(row: Row, process: _Process, code: int | None, given: argparse.Namespace) -> bool:
    """Say and keep what came of a row."""
    seconds = time.monotonic() - process.started
    if code not in (0, 1):
        how = f"ended by its limit of {row.limit:.0f} s" if code is None else f"ended with {code}"
        save(row, Outcome(lost=1, broken=[how]), given.scale, given.seed, seconds)
    if given.scale == "full":
        write_table()
    told = {0: "held", 1: "NOT HELD", None: "HUNG"}.get(code, f"DIED ({code})")
    say(f"row {row.number:2d}  {told:8s} {seconds:6.0f} s  {row.tried}")
    if code != 0:
        again = f"--rows {row.number} --seed {given.seed} --scale {given.scale}"
        say(f"{_tail(process.log)}\n  again: python -m tests.faults {again}")
    return code == 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-25:])


if __name__ == "__main__":
    sys.exit(main())
