"""The whole benchmark: every section one after the other, each saved by itself, each in its time.

    python -m tests.benchmarks [SECTION ...]          (or: make bench)

A section that takes too long or fails is told in a sentence and the next one begins; README.md's
table is then written anew from what is saved. Exits with 1 where a section missed a target.
"""

import subprocess
import sys
from time import perf_counter

from tests.benchmarks import table
from tests.benchmarks.peers.environments import PACKAGES, python_of

SECTIONS = {
    "peers": ("peers", ["--rounds", "2"], 1500),
    "end_to_end": ("end_to_end", [], 1500),
    "passes": ("passes", [], 180),
    "starts": ("starts", [], 1200),
    "candidates": ("candidates", ["--rows", "1000000"], 240),
    "engine": ("engine", ["--rounds", "5"], 180),
    "scale": ("scale", [], 240),
    "scores": ("scores", [], 400),
}
"""Section: module, arguments, seconds that it may take."""


def main(names: list[str]) -> int:
    """Run them; 1 where one of them missed a target or could not run."""
    for peer in PACKAGES:
        try:
            python_of(peer)
        except subprocess.CalledProcessError as problem:
            print(f"{peer} cannot be set up and is left out: {problem}")
    short = []
    for name in names or SECTIONS:
        module, arguments, limit = SECTIONS[name]
        print(f"\n== {name}", flush=True)
        began = perf_counter()
        command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
        try:
            code = subprocess.run(command, timeout=limit, check=False).returncode
        except subprocess.TimeoutExpired:
            print(f"{name} was ended after {limit} s; what it had found is saved")
            code = 1
        print(f"== {name}: {perf_counter() - began:.0f} s", flush=True)
        short += [name] if code else []
    table.main()
    print(f"targets missed in: {', '.join(short)}" if short else "all targets hold")
    return int(bool(short))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
