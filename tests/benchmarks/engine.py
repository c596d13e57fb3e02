"""What one EM iteration costs on a cluster beside its own arithmetic, and streaming beside reading.

    python -m tests.benchmarks.engine

The same 2,000,000 x 8 rows in 20, 200, 2,000 and 10,000 Zarr chunks, two workers of one thread.
Cached: an iteration against 1.15 x (the kernel's own time / 2) + 60 ms. Streaming, zstd and
uncompressed, of four times the rows: on one worker, which leaves a core for reading, against the
slower of the bare read and the kernel; on two, which do not, against both together, the least that
two cores can take where reading is decompressing and copying. Last, the engine in this process on
one thread and on two. Kernel and iterations take turns in every round, and the medians of the
rounds are compared.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import dask
import numpy as np
import zarr
from distributed import Client, LocalCluster

from gmm_dask.chunked.blas import one_blas_thread
from gmm_dask.chunked.engines.dask import DaskEngine
from gmm_dask.chunked.engines.in_process import SerialEngine
from gmm_dask.chunked.expectation import statistics_over
from gmm_dask.chunked.rows import Rows, open_rows
from gmm_dask.clusters.dask_settings import cluster_settings
from gmm_dask.mixture.kernels.choice import choose_kernels
from gmm_dask.mixture.parameters import Mixture
from tests.benchmarks.results import save

FEATURES, COMPONENTS = 8, 8
STREAMED = 0.8
"""The slower of reading and kernel over an iteration, at the least."""


@contextmanager
def workers(count: int, threads: int = 1) -> Iterator[Client]:
    """So many on this machine, of so many threads, with the settings that fits use."""
    with (
        dask.config.set(cluster_settings()),
        LocalCluster(
            n_workers=count,
            threads_per_worker=threads,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def mixture() -> Mixture:
    """A mixture whose components overlap a little."""
    random = np.random.default_rng(0)
    factors = random.normal(size=(COMPONENTS, FEATURES, 4 * FEATURES))
    return Mixture(
        np.full(COMPONENTS, 1 / COMPONENTS),
        random.normal(size=(COMPONENTS, FEATURES)) * 3,
        factors @ factors.transpose(0, 2, 1) / (4 * FEATURES),
    )


def make(path: Path, rows: int, chunks: int, compressed: bool) -> Rows:
    """A store of rows drawn from the mixture."""
    random = np.random.default_rng(1)
    length = rows // chunks
    array = zarr.create_array(
        path,
        shape=(rows, FEATURES),
        chunks=(length, FEATURES),
        dtype="f8",
        compressors="auto" if compressed else None,
    )
    step = max(length, 100_000 // length * length)
    for start in range(0, rows, step):
        size = min(step, rows - start)
        array[start : start + size] = mixture().sample(size, random)[0]
    return open_rows(path)


def timed(action) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


def one_pass(engine, under: Mixture | None = None) -> None:
    asked = (under or mixture(),)
    statistics_over(engine)(asked, choose_kernels(asked))


def bare_read(rows: Rows) -> None:
    for index in range(len(rows)):
        rows.read(index)


def compare(clients: Sequence[Client], rows: Rows, cache: str, rounds: int) -> dict[str, Any]:
    """Medians in seconds: the kernel alone in this process, an iteration on each of the clusters,
    and the bare read."""
    serial = SerialEngine(rows, cache="memory")
    engines = [DaskEngine(client, rows, cache=cache) for client in clients]
    one_pass(serial)
    for engine in engines:
        for _ in range(2):
            one_pass(engine)
    kernel, iterations, read = [], [list[float]() for _ in engines], []
    for _ in range(rounds):
        kernel.append(timed(lambda: one_pass(serial)))
        for engine, taken in zip(engines, iterations, strict=True):
            taken.append(timed(lambda engine=engine: one_pass(engine)))
        if cache == "none":
            read.append(timed(lambda: bare_read(rows)))
    for engine in engines:
        engine.close()
    return {
        "kernel": median(kernel),
        "iterations": [median(taken) for taken in iterations],
        "read": median(read) if read else 0.0,
    }


def streaming(clients: Sequence[Client], count: int, rounds: int) -> list[dict[str, Any]]:
    """Iterations that read their rows, on one worker and on two."""
    print(f"\nstreaming: {count:,} x {FEATURES}, K = {COMPONENTS}, 1 worker and 2 of 1 thread, ms")
    print(
        f"{'chunks':>8} {'codec':>6} {'read':>6} {'kernel':>7} {'one':>6} {'slower / one':>13} "
        f"{'two':>6} {'both / 2 / two':>15}"
    )
    streamed = list[dict[str, Any]]()
    for chunks, compressed in product((20, 200), (False, True)):
        with TemporaryDirectory() as folder:
            rows = make(Path(folder, "rows.zarr"), count, chunks, compressed)
            found = compare(clients, rows, "none", rounds)
        streamed.append({"rows": count, "chunks": chunks, "compressed": compressed, **found})
        read, kernel, (one, two) = found["read"], found["kernel"], found["iterations"]
        slower = max(read, kernel) / one
        print(
            f"{chunks:>8} {'zstd' if compressed else 'none':>6} {1e3 * read:>6.0f} "
            f"{1e3 * kernel:>7.0f} {1e3 * one:>6.0f} {slower:>13.2f} {1e3 * two:>6.0f} "
            f"{(read + kernel) / 2 / two:>15.2f}{'  MISSED' if slower < STREAMED else ''}"
        )
    return streamed


def main() -> int:
    """Print both tables; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    missed = 0
    cached = list[dict[str, Any]]()
    with (
        TemporaryDirectory() as folder,
        workers(1) as one_worker,
        workers(2) as client,
        one_blas_thread(),
    ):
        print(f"cached: {options.rows:,} x {FEATURES}, K = {COMPONENTS}, 2 workers x 1 thread, ms")
        print(f"{'chunks':>8} {'blocks':>7} {'kernel':>8} {'iteration':>10} {'target':>8}")
        for chunks in (20, 200, 2_000, 10_000):
            rows = make(Path(folder, f"c{chunks}.zarr"), options.rows, chunks, compressed=False)
            found = compare([client], rows, "memory", options.rounds)
            cached.append({"chunks": chunks, **found})
            target, (iteration,) = 1.15 * found["kernel"] / 2 + 0.060, found["iterations"]
            missed += iteration > target
            print(
                f"{chunks:>8} {len(rows):>7} {found['kernel'] * 1e3:>8.0f} "
                f"{iteration * 1e3:>10.0f} {target * 1e3:>8.0f}"
                f"{'  MISSED' if iteration > target else ''}"
            )
        streamed = streaming([one_worker, client], 4 * options.rows, options.rounds)
        missed += sum(
            max(found["read"], found["kernel"]) < STREAMED * found["iterations"][0]
            for found in streamed
        )
    print("\nin this process, ms: one thread and two, the same bits")
    random = np.random.default_rng(2)
    held = open_rows(mixture().sample(options.rows, random)[0])
    one, two = (SerialEngine(held, cache="memory", threads=threads) for threads in (1, 2))
    with one_blas_thread():
        one_pass(one), one_pass(two)
        times = [(timed(lambda: one_pass(one)), timed(lambda: one_pass(two))) for _ in range(5)]
    alone, both = (median(column) for column in zip(*times, strict=True))
    print(f"{alone * 1e3:.0f} and {both * 1e3:.0f}: {alone / both:.2f} times as fast")
    save("engine", {"cached": cached, "streamed": streamed, "threads": [alone, both]})
    print("all targets hold" if not missed else f"{missed} targets are missed")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
