"""Small tables, as grid searches have thousands of: a fit of ours beside one of scikit-learn's.

    python -m tests.benchmarks.small [--rounds 5]

Defaults of both, but for the family and `tol`; one thread each, in turns, each of the same rows and
seed. `ratio` is the median of ours to theirs, in processor time, which other processes on the
machine disturb least; `calls` that of the calls, of Python and C, that a profile counts in the last
of the fits, which they do not disturb at all; `lower` by how much ours ends below theirs in nats a
row, at most. Exits with 1 where a fit takes longer than scikit-learn's.
"""

import argparse
import sys
import warnings
from collections.abc import Iterator
from cProfile import Profile
from itertools import product
from pstats import Stats
from statistics import median
from time import process_time
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture as Reference
from threadpoolctl import threadpool_limits

from gmm_dask import GaussianMixture
from tests.benchmarks.results import save

SHAPES = ((100, 1, 2), (100, 2, 3), (272, 2, 2), (1000, 10, 3), (1000, 5, 8), (5000, 5, 4))
FAMILIES = ("full", "tied", "diag", "spherical")
TOLERANCES = (1e-3, 1e-6)


def problem(shape: tuple[int, int, int], seed: int) -> np.ndarray:
    """Rows of K components, two and a half standard deviations apart in each feature."""
    n, d, k = shape
    random = np.random.default_rng(seed)
    means = random.normal(size=(k, d)) * 2.5
    return means[random.integers(k, size=n)] + random.normal(size=(n, d))


def timed(kind: Any, rows: np.ndarray, components: int, asked: dict[str, Any]) -> tuple[float, Any]:
    """Seconds of a fit, and the fitted model."""
    began = process_time()
    model = kind(components, **asked).fit(rows)
    return process_time() - began, model


def calls(*fit: Any) -> int:
    """How many a fit is made of."""
    profile = Profile()
    profile.runcall(timed, *fit)
    return int(Stats(profile).total_calls)  # type: ignore[attr-defined]


def turns(shape: tuple[int, int, int], family: str, tol: float, rounds: int) -> Iterator[dict]:
    """What each round found; the first is not counted, for loops may be compiled in it. Last, the
    calls of the last one."""
    for seed in range(rounds + 1):
        rows = problem(shape, seed)
        asked = {"covariance_type": family, "tol": tol, "max_iter": 500, "random_state": seed}
        ours, model = timed(GaussianMixture, rows, shape[2], asked)
        theirs, reference = timed(Reference, rows, shape[2], asked)
        if seed:
            lower = reference.score(rows) - model.score(rows)
            yield {"ours": ours, "theirs": theirs, "ratio": ours / theirs, "lower": lower}
    fit = rows, shape[2], asked
    yield {"calls": calls(GaussianMixture, *fit) / calls(Reference, *fit)}


def main() -> int:
    """Print the table and save it; 1 where a median is above 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found = []
    print(f"{'N':>6}{'D':>4}{'K':>4} {'family':<10}{'tol':>7}{'ours':>8}{'theirs':>8}  ms"
          f"{'ratio':>7}{'calls':>7}{'lower':>9}")  # fmt: skip
    for shape, family, tol in product(SHAPES, FAMILIES, TOLERANCES):
        *told, counted = turns(shape, family, tol, rounds)
        one = {name: median(turn[name] for turn in told) for name in ("ours", "theirs", "ratio")}
        one["lower"] = max(turn["lower"] for turn in told)
        one |= counted
        found.append({"shape": shape, "family": family, "tol": tol, **one})
        n, d, k = shape
        print(
            f"{n:>6}{d:>4}{k:>4} {family:<10}{tol:>7.0e}{1e3 * one['ours']:>8.1f}"
            f"{1e3 * one['theirs']:>8.1f}    {one['ratio']:>7.2f}{one['calls']:>7.2f}"
            f"{one['lower']:>9.1e}",
            flush=True,
        )
    ratios = [one["ratio"] for one in found]
    print(f"median of ratios {median(ratios):.2f}, above 1 in {sum(r > 1 for r in ratios)} of "
          f"{len(ratios)}; of calls {median(one['calls'] for one in found):.2f}")  # fmt: skip
    save("small", found)
    return int(max(ratios) > 1)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        sys.exit(main())
