"""Time of one EM iteration on one thread: all kernels, scikit-learn, and the floor.

    python -m tests.benchmarks.sweep

The floor is 2·N·K·D² flops (both products of the quadratic kernel, large D) at the GEMM rate
measured in the same run. Repetitions are interleaved and medians compared, so that a machine that
slows down for a while slows everything down alike. Exits with 1 where a target is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from gmm_dask.mixture.compilation import compiles
from gmm_dask.mixture.kernels import Kernel
from gmm_dask.mixture.kernels.choice import accurate, choose_kernels
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.maximisation import maximise
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.sweep import sweep

SHAPES = (
    (400_000, 1, 2),
    (400_000, 2, 3),
    (400_000, 4, 8),
    (200_000, 8, 8),
    (100_000, 16, 16),
    (50_000, 32, 32),
    (20_000, 64, 32),
    (10_000, 128, 16),
)
KERNELS: tuple[Kernel, ...] = ("quadratic", "fused", "centred", "quadratic-float32")
REPETITIONS = 5
SIZE_OF_PRODUCT = 1024

FASTER_THAN_SKLEARN = ((8, 10.0), (64, 5.0), (128, 3.0))
"""Up to so many features: at least so many times as fast."""
SLOWER_THAN_FLOOR = 2.0
FLOOR_FROM_FEATURES = 32


@dataclass(frozen=True)
class Timing:
    """Median seconds of one EM iteration, by what ran."""

    shape: tuple[int, int, int]
    storage: str
    chosen: Kernel
    floor: float
    seconds: Mapping[str, float]

    @property
    def against_sklearn(self) -> float:
        """How many times as fast as scikit-learn the chosen kernel is."""
        return self.seconds["sklearn"] / self.seconds[self.chosen]

    @property
    def against_floor(self) -> float:
        """How many times the floor the chosen kernel takes."""
        return self.seconds[self.chosen] / self.floor

    def missed(self) -> list[str]:
        """Targets that do not hold."""
        n, d, k = self.shape
        where = f"N={n} D={d} K={k} {self.storage}"
        least = next(factor for features, factor in FASTER_THAN_SKLEARN if d <= features)
        missed = []
        if self.against_sklearn < least:
            ceiling = self.seconds["sklearn"] / self.floor
            missed.append(
                f"{where}: {self.against_sklearn:.1f}x scikit-learn, not {least:.0f}x "
                f"(the floor itself is at {ceiling:.1f}x)"
            )
        if d >= FLOOR_FROM_FEATURES and self.against_floor > SLOWER_THAN_FLOOR:
            missed.append(f"{where}: {self.against_floor:.1f}x floor, not {SLOWER_THAN_FLOOR}x")
        return missed

    def __str__(self) -> str:
        n, d, k = self.shape
        times = "".join(
            f"{1e3 * self.seconds[name]:>10.1f}" if name in self.seconds else f"{'refused':>10}"
            for name in (*KERNELS, "sklearn")
        )
        return (
            f"{n:>7}{d:>5}{k:>4}  {self.storage}{1e3 * self.floor:>9.1f}{times}   {self.chosen:<10}"
            f"{self.against_sklearn:>9.1f}{self.against_floor:>8.1f}"
        )


def main() -> int:
    """Print the table; 1 where a target is missed."""
    print(f"{'':26}milliseconds a pass, median of {REPETITIONS}{'':41}chosen kernel")
    print(
        f"{'N':>7}{'D':>5}{'K':>4}  {'rows':<7}{'floor':>9}"
        f"{'quadratic':>10}{'fused':>10}{'centred':>10}"
        f"{'q-float32':>10}{'sklearn':>10}   {'':<10}{'x sklearn':>9}{'x floor':>8}"
    )
    missed = []
    with threadpool_limits(1):
        for shape in SHAPES:
            for storage in ("float64", "float32"):
                timing = timed(shape, storage)
                print(timing, flush=True)
                missed += timing.missed()
    print("\n".join(missed) or "all targets hold")
    return bool(missed)


def timed(shape: tuple[int, int, int], storage: str) -> Timing:
    """Interleaved repetitions of everything for one shape."""
    n, d, k = shape
    rows, mixture = drawn(n, d, k)
    rows = rows.astype(storage)
    square = np.random.default_rng(0).random((SIZE_OF_PRODUCT, SIZE_OF_PRODUCT))
    frame = Frame.of([mixture])
    runs: dict[str, Callable[[], object]] = {
        kernel: partial(iteration, rows, mixture, kernel)
        for kernel in KERNELS
        if accurate(frame, mixture, kernel) and (kernel != "fused" or compiles())
    }
    runs["sklearn"] = partial(iteration_of_sklearn, rows, prepared_sklearn(mixture))
    runs["product"] = lambda: square @ square
    seconds = medians(runs)
    rate = 2 * SIZE_OF_PRODUCT**3 / seconds["product"]
    chosen = choose_kernels([mixture])[0]
    return Timing(shape, storage, chosen, 2 * n * k * d * d / rate, seconds)


def drawn(n: int, d: int, k: int) -> tuple[np.ndarray, Mixture]:
    """Rows, and a mixture near the one that they come from."""
    random = np.random.default_rng(0)
    means = random.normal(size=(k, d)) * 3
    rows = means[random.integers(k, size=n)] + random.normal(size=(n, d))
    noise = random.normal(size=(k, d, 4 * d + 4))
    covariances = noise @ noise.transpose(0, 2, 1) / (4 * d + 4) + 0.1 * np.eye(d)
    return rows, Mixture(np.full(k, 1 / k), means, covariances)


def iteration(rows: np.ndarray, mixture: Mixture, kernel: Kernel) -> Mixture:
    """One EM iteration of ours: the sweep and the M-step."""
    (statistics,) = sweep(rows, [mixture], kernels=[kernel])
    return maximise(statistics, mixture.family).mixture


def prepared_sklearn(mixture: Mixture) -> GaussianMixture:
    """scikit-learn's model at the same mixture."""
    model = GaussianMixture(mixture.components)
    model.weights_, model.means_ = mixture.weights, mixture.means
    model.covariances_, model.precisions_cholesky_ = mixture.covariances, mixture.factors
    return model


def iteration_of_sklearn(rows: np.ndarray, model: GaussianMixture) -> None:
    """What `fit` does in each iteration; the parameters are put back, so that all repeat."""
    names = ("weights_", "means_", "covariances_", "precisions_cholesky_")
    before = {name: getattr(model, name) for name in names}
    _, log_responsibilities = model._e_step(rows)
    model._m_step(rows, log_responsibilities)
    vars(model).update(before)


def medians(runs: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each, one repetition of all after the other; the first only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPETITIONS + 1):
        for name, run in runs.items():
            began = perf_counter()
            run()
            seconds[name].append(perf_counter() - began)
    return {name: float(np.median(taken[1:])) for name, taken in seconds.items()}


if __name__ == "__main__":
    sys.exit(main())
