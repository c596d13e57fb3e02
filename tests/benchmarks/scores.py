"""What a fitted model is asked, beside one pass of EM over the same rows and beside scikit-learn.

    python -m tests.benchmarks.scores [--rows 5000000]

One thread, in turns, medians of ratios within a round. First in memory: labels and densities in one
call, as `score` writes them, labels alone, posteriors; then from Zarr to Zarr, by one worker and by
two, beside what decoding, scoring and encoding take by themselves.
"""

import argparse
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from gmm_dask import Mixture, open_rows, score
from gmm_dask.mixture.density import scores
from gmm_dask.mixture.sweep import sweep
from tests.benchmarks.engine import workers
from tests.benchmarks.results import save

SHAPES = (
    ("full", 200_000, 2, 4, 2.0),
    ("full", 100_000, 8, 8, 1.0),
    ("full", 50_000, 32, 32, 0.5),
    ("full", 50_000, 32, 32, 3.0),
    ("full", 20_000, 64, 16, 1.0),
    ("full", 10_000, 128, 16, 1.0),
    ("diag", 200_000, 2, 4, 2.0),
    ("diag", 100_000, 8, 8, 1.0),
    ("diag", 50_000, 32, 32, 0.5),
    ("tied", 50_000, 32, 32, 0.5),
    ("spherical", 100_000, 8, 8, 1.0),
)
"""Family, rows, features, components, and how far these are apart in standard deviations."""
ROUNDS = 7
OF_A_PASS, POSTERIORS = 0.6, 1.3
FASTER = {"full": 5.0, "large": 3.0, "other": 3.0}
FROM_STORE, TWO_WORKERS = 0.8, 1.8


def drawn(
    family: str, n: int, d: int, k: int, apart: float
) -> tuple[NDArray[np.float64], Mixture, GaussianMixture]:
    """Rows of a mixture, the mixture, and the same as scikit-learn has it."""
    random = np.random.default_rng(0)
    noise = random.normal(size=(k, d, 4 * d + 4))
    full = noise @ noise.transpose(0, 2, 1) / (4 * d + 4)
    covariances = {
        "full": full,
        "tied": full[0],
        "diag": random.uniform(0.5, 2, (k, d)),
        "spherical": random.uniform(0.5, 2, k),
    }[family]
    means = apart * random.normal(size=(k, d))
    mixture = Mixture(np.full(k, 1 / k), means, covariances, family)
    theirs = GaussianMixture(k, covariance_type=family)
    theirs.weights_, theirs.means_ = mixture.weights, mixture.means
    theirs.covariances_, theirs.precisions_cholesky_ = mixture.covariances, mixture.factors
    return np.ascontiguousarray(mixture.sample(n, random)[0]), mixture, theirs


def seconds(does: Callable[[], object]) -> float:
    """How long it takes."""
    began = perf_counter()
    does()
    return perf_counter() - began


def in_memory(family: str, n: int, d: int, k: int, apart: float) -> dict[str, Any]:
    """Ratios of one shape."""
    rows, mixture, theirs = drawn(family, n, d, k, apart)
    terms, posteriors = mixture.terms, np.ones((n, k))
    ways: dict[str, Callable[[], object]] = {
        "pass": lambda: sweep(rows, (mixture,)),
        "both": lambda: scores(rows, terms, density=True),
        "labels": lambda: mixture.labels(rows),
        "density": lambda: mixture.log_density(rows),
        "posteriors": lambda: mixture.responsibilities(rows),
        "bytes": lambda: np.copy(posteriors),
        "their labels": lambda: theirs.predict(rows),
        "their density": lambda: theirs.score_samples(rows),
        "their posteriors": lambda: theirs.predict_proba(rows),
    }
    rounds = [{name: seconds(way) for name, way in ways.items()} for _ in range(ROUNDS + 1)][1:]

    def ratio(of: Callable[[dict[str, float]], float]) -> float:
        return median(map(of, rounds))

    return {
        "shape": [family, n, d, k, apart],
        "ms of a pass": 1e3 * ratio(lambda r: r["pass"]),
        "ms of both": 1e3 * ratio(lambda r: r["both"]),
        "of a pass": ratio(lambda r: r["both"] / r["pass"]),
        "labels, faster": ratio(lambda r: r["their labels"] / r["labels"]),
        "density, faster": ratio(lambda r: r["their density"] / r["density"]),
        "posteriors, faster": ratio(lambda r: r["their posteriors"] / r["posteriors"]),
        "posteriors, of both and their bytes": ratio(
            lambda r: r["posteriors"] / (r["both"] + r["bytes"])
        ),
    }


def short_of(found: dict[str, Any]) -> list[str]:
    """Which bars a shape misses."""
    family, _, d, *_ = found["shape"]
    bar = FASTER["other" if family != "full" else "full" if d <= 32 else "large"]
    faster = min(found["labels, faster"], found["density, faster"])
    return [
        name
        for name, missed in (
            ("pass", found["of a pass"] > OF_A_PASS),
            ("scikit-learn", faster < bar),
            ("posteriors", found["posteriors, of both and their bytes"] > POSTERIORS),
        )
        if missed
    ]


def from_store(n: int) -> dict[str, float]:
    """Labels and densities of float32 rows, from a compressed store to another one."""
    rows, mixture, _ = drawn("full", n, 16, 16, 1.0)
    single, terms = rows.astype(np.float32), mixture.terms
    with TemporaryDirectory() as folder:
        path = Path(folder, "rows.zarr")
        zarr.create_array(path, data=single, chunks=(100_000, 16))
        opened = open_rows(path)
        decode = seconds(lambda: [opened.read_all(i) for i in range(len(opened))])
        kernel = seconds(
            lambda: [scores(single[a:b], terms, density=True) for a, b in pairwise(opened.cuts)]
        )
        taken = {}
        for count in (1, 2):
            with workers(count) as client:
                score(mixture, path, Path(folder, f"warm-{count}.zarr"), client=client)
                out = Path(folder, f"scores-{count}.zarr")
                taken[count] = seconds(lambda out=out: score(mixture, path, out, client=client))
    return {
        "rows": n,
        "s to decode": decode,
        "s to score": kernel,
        "s of one worker": taken[1],
        "slower of both, of one worker": max(decode, kernel) / taken[1],
        "two workers, faster": taken[1] / taken[2],
    }


def main() -> int:
    """Print the table; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="of the store; 0: none")
    options = parser.parse_args()
    found, missed = [], 0
    heads = ("pass ms", "both ms", "of pass", "labels", "density", "posteriors", "of bytes")
    shape_heads = f"{'family':<10}{'N':>7}{'D':>5}{'K':>4}{'apart':>6}"
    print(shape_heads + "".join(f"{head:>11}" for head in heads))
    with threadpool_limits(1):
        for shape in SHAPES:
            found.append(in_memory(*shape))
            family, n, d, k, apart = shape
            cells = "".join(f"{value:>11.2f}" for value in list(found[-1].values())[1:])
            short = short_of(found[-1])
            missed += len(short)
            line = f"{family:<10}{n:>7}{d:>5}{k:>4}{apart:>6}{cells}  "
            print(line + ", ".join(short), flush=True)
    stored = from_store(options.rows) if options.rows else {}
    for name, value in stored.items():
        print(f"{name:<32}{value:>10.2f}")
    if stored:
        missed += stored["slower of both, of one worker"] < FROM_STORE
        missed += stored["two workers, faster"] < TWO_WORKERS
        save("scores", {"in memory": found, "from a store": stored})
    print("all bars hold" if not missed else f"{missed} bars are missed")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
