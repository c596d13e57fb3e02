"""One EM iteration of ours and of every peer, on one thread, in interleaved rounds of one run.

    python -m tests.benchmarks.peers          (or: make bench)

Every peer is a process of its own, in an environment of its own, given the same rows and the same
start. A round asks each for one iteration; medians over the rounds are compared. The table is
printed and saved as JSON in `.bench/peers.json`. Exits with 1 where a target is missed.
"""

import argparse
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from tests.benchmarks.peers.environments import BENCH, ROOT, python_of
from tests.benchmarks.sweep import SHAPES, drawn

HERE = Path(__file__).parent
PEERS = ("gmm_dask_", "scikit_learn", "onedal", "pomegranate_", "spark")
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def least(peer: str, features: int) -> float:
    """How many times as fast as this peer we want to be, at the least."""
    if peer == "scikit_learn":
        return 10 if features <= 8 else 5 if features <= 64 else 3
    return {"onedal": 1, "pomegranate_": 2, "spark": 15}[peer]


class Peer:
    """A process that times one iteration whenever it is asked."""

    def __init__(self, name: str, problem: Path) -> None:
        self.name, self.seconds = name, list[float]()
        self.process = subprocess.Popen(
            [python_of(name), HERE / f"{name}.py", problem],
            cwd=HERE,
            env=os.environ | ONE_THREAD | {"PYTHONPATH": f"{HERE}:{ROOT}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, keep: bool) -> None:
        """One round; a peer that cannot do the problem says nothing."""
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        seconds = json.loads(answer) if answer else 0.0
        if keep and seconds > 0:
            self.seconds.append(seconds)

    def close(self) -> None:
        """Let it end by itself; end it where it does not."""
        try:
            self.process.communicate(timeout=30)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.process.kill()
            self.process.wait()


def measure(shape: tuple[int, int, int], family: str, rounds: int, peers: list[str]) -> dict:
    """Median seconds by peer."""
    rows, mixture = drawn(*shape)
    covariances = mixture.covariances
    if family == "diag":
        covariances = np.ascontiguousarray(np.diagonal(covariances, axis1=1, axis2=2))
    with TemporaryDirectory() as folder, ExitStack() as stack:
        problem = Path(folder, "problem.npz")
        np.savez(
            problem,
            rows=rows,
            weights=mixture.weights,
            means=mixture.means,
            covariances=covariances,
        )
        asked = [Peer(name, problem) for name in peers]
        for peer in asked:
            stack.callback(peer.close)
        for number in range(rounds + 1):
            for peer in asked:
                peer.ask(keep=number > 0)
        return {peer.name: median(peer.seconds) for peer in asked if peer.seconds}


def main() -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS)
    parser.add_argument("--families", nargs="+", default=["full", "diag"])
    options = parser.parse_args()
    BENCH.mkdir(exist_ok=True)
    results, missed = [], 0
    for family in options.families:
        print(f"\n{family} covariances: ms an iteration on one thread (times as long as ours)")
        titles = "".join(f"{name.strip('_').replace('_', '-'):>20}" for name in options.peers)
        print(f"{'N':>7}{'D':>5}{'K':>4}{titles}")
        for shape in SHAPES:
            seconds = measure(shape, family, options.rounds, options.peers)
            ours = seconds["gmm_dask_"]
            results.append({"shape": shape, "family": family, "seconds": seconds})
            cells = ""
            for name in options.peers:
                if name not in seconds:
                    cells += f"{'-':>20}"
                    continue
                ratio = seconds[name] / ours
                short = family == "full" and name != "gmm_dask_" and ratio < least(name, shape[1])
                missed += short
                mark = "!" if short else ""
                cells += f"{1e3 * seconds[name]:>11.1f}{f'({ratio:.1f}){mark}':>9}"
            n, d, k = shape
            print(f"{n:>7}{d:>5}{k:>4}{cells}", flush=True)
    (BENCH / "peers.json").write_text(json.dumps(results, indent=1))
    print("all targets hold" if not missed else f"{missed} targets are missed (marked !)")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
