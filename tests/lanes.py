"""The whole suite in two lanes at once: tests that compute, and tests that wait for programs.

    python -m tests.lanes [options of pytest]

Flows, deployments, refits and faults wait for servers, schedulers and dead workers most of the
time, and leave the processors to the others. Each lane's output comes whole, when it has ended.
"""

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import IO

TESTS = Path(__file__).parent
WAITING = [str(TESTS / name) for name in ("flows", "deploy", "refitting", "faults")]
LANES: Mapping[str, list[str]] = MappingProxyType(
    {
        "computing": [str(TESTS), *(f"--ignore={folder}" for folder in WAITING)],
        "waiting": WAITING,
    }
)


def main() -> int:
    """Both lanes; 1 where a test failed in one of them."""
    begun = time.monotonic()
    lanes = {name: started([*sys.argv[1:], *arguments]) for name, arguments in LANES.items()}
    failed = 0
    try:
        while lanes:
            time.sleep(0.5)
            for name, (process, output) in list(lanes.items()):
                if process.poll() is None:
                    continue
                del lanes[name]
                failed += process.returncode != 0
                output.seek(0)
                minutes, seconds = divmod(round(time.monotonic() - begun), 60)
                sys.stdout.write(f"\n== the {name} lane, {minutes} min {seconds} s\n")
                sys.stdout.write(output.read())
                sys.stdout.flush()
    finally:
        for process, _ in lanes.values():  # left in the middle, by Ctrl-C
            process.terminate()
            process.wait()
    return int(failed > 0)


def started(arguments: list[str]) -> tuple[subprocess.Popen[str], IO[str]]:
    """A run of pytest, and where it writes."""
    output = TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
    command = [sys.executable, "-m", "pytest", "--durations=15", *arguments]
    return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True), output


if __name__ == "__main__":
    sys.exit(main())
