"""What no implementation can beat on this machine: products, memory, exponentials.

Rates are measured beside the contenders, in the same rounds. The floor of an iteration is the sum
of its parts: 2·N·K·D² flops for both products (8·N·K·D for a diagonal family), every row read once,
and N·K exponentials.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numba import njit
from threadpoolctl import threadpool_limits

from gmm_dask.mixture.compiled.vectors import (
    EXACT,
    exp,
)

PRODUCT = 1024
STREAM = 32 * 2**20
EXPONENTIALS = 2**12
REPEATED = 2**9


@njit("void(f8[::1], f8[::1], i8)", nogil=True, fastmath=EXACT, error_model="numpy")
def exponentials(numbers, out, times):
    """exp of the same few numbers, which stay in the innermost cache."""
    for _ in range(times):
        for i in range(len(numbers)):
            out[i] = exp(numbers[i] + out[i] * 1e-300)


@dataclass(frozen=True)
class Rates:
    """Per second, on so many threads together."""

    flops: float
    bytes: float
    exponentials: float

    def parts(self, shape: tuple[int, int, int], family: str) -> dict[str, float]:
        """Seconds of one iteration over float64 rows, by part."""
        n, d, k = shape
        flops = 2 * n * k * d * d if family == "full" else 8 * n * k * d
        return {
            "products": flops / self.flops,
            "memory": 8 * n * d / self.bytes,
            "exponentials": n * k / self.exponentials,
        }


class Machine:
    """Measures the rates; its arrays are made once."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.square = np.random.default_rng(0).random((PRODUCT, PRODUCT))
        self.streams = [np.ones(STREAM // 8) for _ in range(threads)]
        self.numbers = np.linspace(-30, 0, EXPONENTIALS)

    def rates(self) -> Rates:
        """One measurement of each."""
        with threadpool_limits(self.threads):
            product = seconds(lambda: self.square @ self.square)
        stream = self._on_all(lambda i: self.streams[i].sum())
        exp_time = self._on_all(
            lambda _: exponentials(self.numbers, np.zeros(EXPONENTIALS), REPEATED)
        )
        return Rates(
            2 * PRODUCT**3 / product,
            STREAM * self.threads / stream,
            EXPONENTIALS * REPEATED * self.threads / exp_time,
        )

    def _on_all(self, work: Callable[[int], object]) -> float:
        with ThreadPoolExecutor(self.threads) as threads:
            list(threads.map(work, range(self.threads)))  # warm
            return seconds(lambda: list(threads.map(work, range(self.threads))))


def seconds(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = perf_counter()
    work()
    return perf_counter() - began
