"""How an iteration grows: with workers, with K and D, and what a large cluster's scheduler costs.

    python -m tests.benchmarks.scale [--tasks 4000]

Workers: the same cached rows on one worker and on two, in turns, in three sizes:
what an iteration costs beside its arithmetic weighs less the more rows there are. The bar holds
for the last, which is what `end_to_end` fits. K and D: one thread, rows so many
that the arithmetic stays alike. The large cluster: a real scheduler and 1,000 real worker threads,
in two processes, given the very graph of a pass over 1,000,000 blocks (as many tasks and merges,
each next to nothing): wall time of such a pass, and the processor time that scheduler and client
took of it, per task. Ten thousand threads are reckoned from that, not run. Saved in
results/scale.json.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
import zarr

from gmm_dask.chunked.blas import one_blas_thread
from gmm_dask.chunked.engines.dask import DaskEngine
from gmm_dask.chunked.rows import Values, Weights, open_rows
from gmm_dask.chunked.tree import runs, shares
from gmm_dask.mixture.sweep import sweep
from tests.benchmarks.engine import one_pass, timed, workers
from tests.benchmarks.results import save
from tests.benchmarks.sweep import drawn

TWO_WORKERS = 1.8
HEIGHTS = ((500_000, 8, 8), (2_000_000, 8, 8), (5_000_000, 16, 16))
"""Rows, features, components."""
THREADS, BLOCKS = 1_000, 1_000_000


def against_workers(shape: tuple[int, int, int], rounds: int) -> dict[str, Any]:
    """Median seconds of a cached iteration on one worker and on two, in turns."""
    rows, mixture = drawn(*shape)
    taken: list[list[float]] = [[], []]
    with (
        TemporaryDirectory() as folder,
        workers(1) as alone,
        workers(2) as pair,
    ):
        store = Path(folder, "rows.zarr")
        zarr.create_array(store, data=rows.astype(np.float32), chunks=(50_000, shape[1]))
        del rows
        stored = open_rows(store)
        engines = [DaskEngine(client, stored, cache="memory") for client in (alone, pair)]
        for number in range(rounds + 2):
            for engine, seconds in zip(engines, taken, strict=True):
                found = timed(lambda engine=engine: one_pass(engine, mixture))
                if number > 1:
                    seconds.append(found)
    one, two = map(median, taken)
    return {"shape": shape, "one": one, "two": two, "times": one / two}


def against_size(rounds: int) -> list[dict[str, float]]:
    """Median seconds of one sweep for K and for D, everything else alike."""
    found: list[dict[str, float]] = []
    shapes = [(8, k) for k in (1, 2, 4, 8, 16, 32, 64)] + [(d, 8) for d in (1, 2, 4, 16, 32, 64)]
    for d, k in shapes:
        n = max(2_000, 40_000_000 // (k * (d * d + 20)) // 1000 * 1000)
        rows, mixture = drawn(min(n, 500_000), d, k)
        with one_blas_thread():
            work = partial(sweep, rows, [mixture])
            work()
            seconds = median(timed(work) for _ in range(rounds))
        found.append({"rows": len(rows), "D": d, "K": k, "seconds": seconds})
    return found


def nothing(table: Values, weights: Weights, first_row: int, value: int) -> int:  # noqa: ARG001
    """A block that costs nothing."""
    return 1


def large_cluster(tasks: int, rounds: int) -> dict[str, float]:
    """One pass of the graph that 1,000,000 blocks get on 1,000 threads: seconds, and processor
    seconds of this process, which is scheduler and client."""
    rows = open_rows(np.zeros((tasks, 1)), block_bytes=8)
    with workers(2, THREADS // 2) as client:
        engine = DaskEngine(client, rows, cache="memory", tasks_per_thread=-(-tasks // THREADS))
        engine.map_reduce(nothing, 0)
        wall, processor = [], []
        for _ in range(rounds):
            began, used = perf_counter(), process_time()
            counted = engine.map_reduce(nothing, 0)
            wall.append(perf_counter() - began)
            processor.append(process_time() - used)
            assert counted == len(rows)
        made = len(rows) + merges(len(rows))
    return {"tasks": made, "wall": median(wall), "processor": median(processor)}


def merges(tasks: int) -> int:
    """Merge tasks above so many shares."""
    made = 0
    while tasks > 1:
        tasks = len(runs(tasks, 16))
        made += tasks
    return made


def main() -> int:
    """Print the tables; 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tasks", type=int, default=len(shares(BLOCKS, THREADS)))
    options = parser.parse_args()
    measured = []
    for shape in HEIGHTS:
        found = against_workers(shape, options.rounds)
        measured.append(found)
        n, d, k = shape
        print(
            f"{n:,} x {d}, K = {k}: one worker {found['one'] * 1e3:.0f} ms, two "
            f"{found['two'] * 1e3:.0f} ms: {found['times']:.2f}x"
        )
    ratio = measured[-1]["times"]
    sizes = against_size(options.rounds)
    for size in sizes:
        per_row = 1e9 * size["seconds"] / size["rows"]
        print(f"D={size['D']:<4}K={size['K']:<4}{per_row:>9.0f} ns a row")
    save("scale", {"workers": measured, "sizes": sizes})
    simulated = large_cluster(options.tasks, rounds=2)
    each = simulated["processor"] / simulated["tasks"]
    print(
        f"{THREADS:,} threads, {BLOCKS:,} blocks: {simulated['tasks']:,.0f} tasks a pass, "
        f"{simulated['wall']:.1f} s with all on this machine; scheduler and client alone "
        f"{simulated['processor']:.1f} s, {each * 1e6:.0f} µs a task"
    )
    save("scale", {"workers": measured, "sizes": sizes, "large": simulated})
    if ratio < TWO_WORKERS:
        print(f"two workers are {ratio:.2f} times one, not {TWO_WORKERS}")
    return int(ratio < TWO_WORKERS)


if __name__ == "__main__":
    sys.exit(main())
