"""How many fits beside noise come to the optimum that EM finds from the truth, by their start.

    python -m tests.benchmarks.noise

192 fits of 2 and 4 components in 2 and 6 features, with a tenth or three of noise in a box a little
or much larger than they need, by k-means over all rows of the sample and over the dense ones.
"""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np

from gmm_dask import Configuration, Mixture, fit
from gmm_dask.fitting import starts
from gmm_dask.mixture.noise import Noise
from gmm_dask.mixture.starts.dense_rows import dense_rows

REACH, ROWS, SEEDS, WORSE = 6.0, 4000, 6, 1e-4
"""Means lie within REACH of 0; a fit has failed that ends lower by WORSE nats a row."""


def problem(k: int, d: int, share: float, wide: float, seed: int) -> tuple[Mixture, np.ndarray]:
    """A mixture, and rows of it with their background."""
    random = np.random.default_rng(seed)
    means = random.uniform(-REACH, REACH, size=(k, d))
    drawn = random.normal(size=(k, d, d + 3)) / np.sqrt(d + 3)
    covariances = drawn @ drawn.transpose(0, 2, 1) + 0.1 * np.eye(d)
    truth = Mixture(random.dirichlet(np.full(k, 8.0)), means, covariances)
    rows = truth.sample(int(ROWS * (1 - share)), random)[0]
    uniform = random.uniform(-wide * REACH, wide * REACH, size=(int(ROWS * share), d))
    return truth, random.permutation(np.concatenate([rows, uniform]))


def arrived() -> tuple[int, int]:
    """How many fits came as high as from the truth, and of how many."""
    good = total = 0
    for k, d, share, wide, n_init, seed in product(
        (2, 4), (2, 6), (0.1, 0.3), (1.5, 5), (1, 10), range(SEEDS)
    ):
        truth, rows = problem(k, d, share, wide, seed)
        asked = Configuration(k, noise=True, tol=1e-6, max_iter=500, n_init=n_init)
        found = fit(rows, asked)
        noise = Noise(share, found.mixture.noise.log_density, found.mixture.noise.box)
        best = fit(rows, asked, initial=truth.beside(noise))
        good += found.mean_log_likelihood > best.mean_log_likelihood - WORSE
        total += 1
    return good, total


def main() -> None:
    """Tell of both."""
    warnings.simplefilter("ignore")
    for name, chosen in (("all rows", lambda sample, _: sample), ("dense rows", dense_rows)):
        starts.dense_rows = chosen
        good, total = arrived()
        print(f"{name:12}{good:4} of {total}")


if __name__ == "__main__":
    main()
