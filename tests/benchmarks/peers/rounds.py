"""How a peer is driven: one process a peer, asked for one round at a time over its pipes.

Knows nothing but the standard library and NumPy: it runs in every peer's own environment.
"""

import json
import os
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np

TURN = 0.1
"""Seconds of a turn; more where one iteration takes longer."""
THREADS = int(os.environ.get("BENCH_THREADS", "1"))


def start() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, weights, means and covariances of the problem that this process was given."""
    with np.load(sys.argv[1]) as problem:
        return tuple(problem[name] for name in ("rows", "weights", "means", "covariances"))


def serve(seconds_per_iteration: Callable[[], float]) -> None:
    """Answer every line on standard input with a JSON line: the seconds of an iteration."""
    for _ in sys.stdin:
        print(json.dumps(settled(seconds_per_iteration)), flush=True)


def settled(seconds_per_iteration: Callable[[], float]) -> float:
    """The median of what goes into a turn: in a fit, too, one iteration follows another."""
    begun, taken = perf_counter(), [seconds_per_iteration()]
    while perf_counter() - begun < TURN:
        taken.append(seconds_per_iteration())
    return median(taken)


def timed(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    begun = perf_counter()
    action()
    return perf_counter() - begun
