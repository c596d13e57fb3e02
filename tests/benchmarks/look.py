"""Kernels with their first look and without: sums of a block, by how far apart components lie.

    python -m tests.benchmarks.look

One thread, in turns, medians. `left` is the share of log-densities that the centred kernel's look
leaves to be computed in full; above a half, looks are given up after the first step. The fused
kernel decides beforehand, of a look at as many features as it chooses.
"""

import sys
from functools import partial
from statistics import median
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from gmm_dask.mixture.kernels.centred import CentredKernel
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.kernels.fused import FusedKernel
from gmm_dask.mixture.kernels.look import RULED_OUT
from gmm_dask.mixture.parameters import Mixture

SHAPES = ((50_000, 32, 32), (20_000, 64, 32), (10_000, 128, 16))
APART = (0.0, 0.3, 1.0, 2.0, 3.0)
REPETITIONS = 7
DEAREST = 1.1
"""What a look may cost where it is none."""


def drawn(shape: tuple[int, int, int], apart: float) -> tuple[np.ndarray, Mixture]:
    """Rows of components whose means are drawn with this deviation, and the mixture of these."""
    n, d, k = shape
    random = np.random.default_rng(0)
    means = random.normal(size=(k, d)) * apart
    noise = random.normal(size=(k, d, 4 * d + 4))
    covariances = noise @ noise.transpose(0, 2, 1) / (4 * d + 4) + 0.1 * np.eye(d)
    mixture = Mixture(np.full(k, 1 / k), means, covariances)
    return mixture.sample(n, random)[0], mixture


def centred(rows: np.ndarray, mixture: Mixture, *, looking: bool) -> float:
    """Seconds of all rows."""
    began = perf_counter()
    kernel = CentredKernel(mixture)
    if not looking:
        kernel.look = None
    return swept(kernel, rows, began)


def fused(rows: np.ndarray, mixture: Mixture, *, looking: bool) -> float:
    """The same; what is known of the mixture beforehand counts as well."""
    again = Mixture(mixture.weights, mixture.means, mixture.covariances)
    began = perf_counter()
    kernel = FusedKernel([again], Frame.of([again]))
    if not looking:
        kernel.separation = None
    return swept(kernel, rows, began)


def swept(kernel: CentredKernel | FusedKernel, rows: np.ndarray, began: float) -> float:
    for first in range(0, len(rows), kernel.step):
        kernel.add(rows[first : first + kernel.step], None)
    kernel.statistics()
    return perf_counter() - began


def left_over(rows: np.ndarray, mixture: Mixture) -> float:
    """The share that a look at the first rows leaves."""
    look = CentredKernel(mixture).look
    assert look is not None
    logs = look.bounds(rows[: look.step])
    return float((logs >= mixture.log_joint(rows[: look.step]).max(axis=1) + RULED_OUT).mean())


def main() -> int:
    """Print the table; 1 where a look costs more than it may."""
    ways = [partial(kernel, looking=looking) for kernel in (centred, fused) for looking in (0, 1)]
    print(f"{'':>30}{'centred':>16}{'fused':>16}  ms")
    print(f"{'N':>7}{'D':>5}{'K':>4}{'apart':>7}{'left':>7}" + f"{'without':>9}{'with':>7}" * 2)
    dear = 0
    with threadpool_limits(1):
        for shape in SHAPES:
            for apart in APART:
                rows, mixture = drawn(shape, apart)
                times = [[way(rows, mixture) for way in ways] for _ in range(REPETITIONS + 1)][1:]
                taken = [median(column) for column in zip(*times, strict=True)]
                n, d, k = shape
                cells = ""
                for without, with_one in (taken[:2], taken[2:]):
                    dear += with_one > DEAREST * without
                    cells += f"{1e3 * without:>9.0f}{1e3 * with_one:>7.0f}"
                print(
                    f"{n:>7}{d:>5}{k:>4}{apart:>7}{left_over(rows, mixture):>7.2f}{cells}",
                    flush=True,
                )
    return int(dear > 0)


if __name__ == "__main__":
    sys.exit(main())
