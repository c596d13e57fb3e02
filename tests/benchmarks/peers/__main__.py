"""One EM iteration of ours and of every peer, on one thread and two, in interleaved rounds.

    python -m tests.benchmarks.peers [--rounds 5] [--threads 1 2] [--families full diag]

Every peer is a process of its own, in an environment of its own, given the same rows and the same
start. A round asks each for one iteration, and this process for the machine's rates (floors.py);
medians over the rounds are compared. Saved in results/peers.json. A peer that fails is left out
with a sentence. Exits with 1 where a target is missed.
"""

import argparse
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from statistics import median
from tempfile import TemporaryDirectory
from time import sleep

import numpy as np

from tests.benchmarks.floors import Machine, Rates
from tests.benchmarks.peers.bars import TITLES, missed
from tests.benchmarks.peers.environments import ROOT, python_of
from tests.benchmarks.results import save
from tests.benchmarks.sweep import SHAPES, drawn

HERE = Path(__file__).parent
PEERS = ("gmm_dask_", "scikit_learn", "onedal", "pomegranate_", "spark")
LIMITS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
PATIENCE = 240.0
"""Seconds to wait for one answer; the first comes after imports, and after a JVM has started."""

SETTLE = 0.3
"""Seconds before a turn on several threads: until then those of the one before may be spinning."""


class Peer:
    """A process that times one iteration whenever it is asked."""

    def __init__(self, name: str, problem: Path, threads: int) -> None:
        self.name, self.seconds, self.failed = name, list[float](), False
        few = dict.fromkeys(LIMITS, str(threads)) | {"BENCH_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [python_of(name), HERE / f"{name}.py", problem],
            cwd=HERE,
            env=os.environ | few | {"PYTHONPATH": f"{HERE}:{ROOT}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, keep: bool) -> None:
        """One round; a peer that does not answer is asked no more."""
        if self.failed:
            return
        seconds = self._answer()
        self.failed = seconds is None
        if keep and seconds:
            self.seconds.append(seconds)

    def _answer(self) -> float | None:
        assert self.process.stdin
        assert self.process.stdout
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        with DefaultSelector() as waiting:
            waiting.register(self.process.stdout, EVENT_READ)
            if not waiting.select(PATIENCE):
                return None
        answer = self.process.stdout.readline()
        return float(json.loads(answer)) if answer else None

    def close(self) -> None:
        """Let it end by itself; end it where it does not."""
        try:
            self.process.communicate(timeout=1 if self.failed else 30)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.process.kill()
            self.process.wait()


def measure(
    shape: tuple[int, int, int], family: str, threads: int, rounds: int, peers: list[str]
) -> dict:
    """Median seconds by peer, and the floor by its parts."""
    rows, mixture = drawn(*shape)
    covariances = mixture.covariances
    if family == "diag":
        covariances = np.ascontiguousarray(np.diagonal(covariances, axis1=1, axis2=2))
    machine, rates = Machine(threads), list[Rates]()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        problem = Path(folder, "problem.npz")
        np.savez(
            problem,
            rows=rows,
            weights=mixture.weights,
            means=mixture.means,
            covariances=covariances,
        )
        asked = [Peer(name, problem, threads) for name in peers]
        for peer in asked:
            stack.callback(peer.close)
        for number in range(rounds + 1):
            for peer in asked:
                if threads > 1:
                    sleep(SETTLE)
                peer.ask(keep=number > 0)
            rates.append(machine.rates())
    parts = [one.parts(shape, family) for one in rates]
    return {
        "shape": shape,
        "family": family,
        "threads": threads,
        "rounds": rounds,
        "seconds": {peer.name: median(peer.seconds) for peer in asked if peer.seconds},
        "floor": {name: median(part[name] for part in parts) for name in parts[0]},
    }


def line(found: dict, peers: list[str]) -> str:
    """A line of the table: milliseconds, and how many times ours."""
    seconds, (n, d, k) = found["seconds"], found["shape"]
    ours = seconds.get("gmm_dask_")
    short = {miss["against"] for miss in missed(found)}
    cells = ""
    for name in peers:
        if name not in seconds or ours is None:
            cells += f"{'-':>20}"
        else:
            ratio = f"({seconds[name] / ours:.1f}){'!' if name in short else ''}"
            cells += f"{1e3 * seconds[name]:>11.1f}{ratio:>9}"
    floor = sum(found["floor"].values())
    return f"{n:>7}{d:>5}{k:>4}{1e3 * floor:>9.1f}{'!' if 'floor' in short else ' '}{cells}"


def main() -> int:
    """Print the tables; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS)
    parser.add_argument("--families", nargs="+", default=["full", "diag"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    options = parser.parse_args()
    results = []
    for threads in options.threads:
        for family in options.families:
            peers = [name for name in options.peers if family == "full" or name != "spark"]
            print(f"\n{family} covariances, {threads} thread(s): ms (times ours)")
            titles = "".join(f"{TITLES[name]:>20}" for name in peers)
            print(f"{'N':>7}{'D':>5}{'K':>4}{'floor':>9} {titles}")
            for shape in SHAPES:
                found = measure(shape, family, threads, options.rounds, peers)
                results.append(found)
                save("peers", results)
                print(line(found, peers), flush=True)
                for name in peers:
                    if name not in found["seconds"]:
                        print(f"        {TITLES[name]} gave no answer for this problem")
    misses = [miss["sentence"] for found in results for miss in missed(found)]
    print("\n".join(misses) or "all targets hold")
    return int(bool(misses))


if __name__ == "__main__":
    sys.exit(main())
