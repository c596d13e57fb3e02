"""Does an acceleration end where plain EM ends, in how many passes: 450 fits from the same starts.

    python -m tests.benchmarks.basins [SEED]

Real tables and random mixtures, every family, starts that are scikit-learn's and SciPy's, at three
tolerances. `lower` and `higher` count fits whose optimum is so by more than 1e-6 of it, both run on
by plain EM where need be; `stopped lower` and `stopped higher` compare them where they stopped,
`slow half` is plain passes over those of `auto` where plain EM takes the most, and `more passes`
counts fits of more than one pass more than plain EM's. SEED draws other labels and mixtures.
Exits with 1 where `auto` misses a target.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn import datasets
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from gmm_dask.mixture.iteration import EMSettings, iterate, start
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.starts.initial import Sample, from_responsibilities
from gmm_dask.mixture.starts.race import statistics_of_sample
from gmm_dask.mixture.stopping import Stopping
from tests.benchmarks.results import save

TOLERANCES = (1e-8, 1e-6, 1e-3)
FAMILIES = ("full", "tied", "diag", "spherical")
SAME = 1e-6
"""Relative difference of two log-likelihoods of one optimum."""
AT_REST, MOST_PASSES = 1e-10, 20_000
LOWER, FEWER_PASSES = 0.005, 3.0
DRAWN = 200
DATA = Path(__file__).parents[2] / "data"


def measured(name: str, *columns: int) -> np.ndarray:
    """Columns of a table in data/."""
    return np.loadtxt(DATA / name, delimiter=",", skiprows=1, usecols=columns)


TABLES = {
    "faithful": lambda: measured("faithful.csv", 0, 1),
    "quakes": lambda: measured("quakes.csv", 0, 1, 2),
    "iris": lambda: datasets.load_iris().data,
    "wine": lambda: datasets.load_wine().data,
    "wdbc": lambda: datasets.load_breast_cancer().data,
    "diabetes": lambda: datasets.load_diabetes(scaled=False).data,
    "digits": lambda: PCA(6, svd_solver="full").fit_transform(datasets.load_digits().data),
}


def hierarchical(rows: np.ndarray, k: int, seed: int) -> np.ndarray:  # noqa: ARG001
    """Ward's groups."""
    return fcluster(linkage(rows, "ward"), k, "maxclust") - 1


def nearest_means(rows: np.ndarray, k: int, seed: int) -> np.ndarray:
    """One run of k-means."""
    return KMeans(k, n_init=1, random_state=seed).fit(rows).labels_


def nearest_rows(rows: np.ndarray, k: int, seed: int) -> np.ndarray:
    """The nearest of k rows drawn at random."""
    centres = rows[np.random.default_rng(seed).choice(len(rows), k, replace=False)]
    return ((rows[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)


LABELLINGS = {"ward": hierarchical, "k-means": nearest_means, "rows": nearest_rows}


class Fit(NamedTuple):
    """A table, K, a family, and the labels that it starts from."""

    table: str
    components: int
    family: str
    labelling: str
    seed: int

    @cache  # noqa: B019 (as many as there are fits)
    def started(self) -> tuple[Sample, Mixture]:
        """The rows, and the mixture that all fits start from."""
        rows = table(self.table, self.seed)
        spread = (rows - rows.mean(axis=0)) / rows.std(axis=0)
        labels = LABELLINGS[self.labelling](spread, self.components, self.seed)
        sample, posteriors = Sample.of(rows), np.eye(self.components)[labels]
        return sample, from_responsibilities(sample, posteriors, self.family, Regularisation())


@cache
def table(name: str, seed: int) -> np.ndarray:
    """Of that name, or random rows."""
    return TABLES[name]() if name in TABLES else drawn(seed)


def drawn(seed: int) -> np.ndarray:
    """300 to 1,500 rows of a mixture of any size and separation."""
    random = np.random.default_rng(seed)
    n, d, k = (int(random.choice(of)) for of in ([300, 800, 1500], [1, 2, 3, 4, 6], [2, 3, 4, 5]))
    means = random.normal(size=(k, d)) * random.choice([0.8, 1.2, 2, 3, 6])
    noise = random.normal(size=(k, d, 3 * d))
    lower = np.linalg.cholesky(noise @ noise.transpose(0, 2, 1) / (3 * d))
    labels = random.choice(k, size=n, p=random.dirichlet(np.full(k, random.choice([1.0, 10.0]))))
    return means[labels] + (lower[labels] @ random.normal(size=(n, d, 1)))[:, :, 0]


def fits(seed: int) -> Iterator[Fit]:
    """All of them."""
    for name in TABLES:
        for family in FAMILIES:
            for k in (2, 3, 5):
                yield from (Fit(name, k, family, labelling, seed) for labelling in LABELLINGS)
    for i in range(DRAWN):
        random = np.random.default_rng([seed, i])
        family, labelling = random.choice(FAMILIES), random.choice(list(LABELLINGS))
        k = int(random.integers(2, 7))
        yield Fit("drawn", k, str(family), str(labelling), 1000 * (seed + 1) + i)


@dataclass(frozen=True)
class Ending:
    """Passes until a fit stopped, the mean log-likelihood there, and where plain EM leads."""

    passes: int
    stopped: float
    optimum: float


def asked(accelerate: str | None, tol: float) -> EMSettings:
    """One fit's settings."""
    return EMSettings(Stopping(tol=tol, max_iter=MOST_PASSES), accelerate=accelerate)


def plain(fit: Fit) -> dict[float, Ending]:
    """Plain EM, by tolerance: one climb, which every tolerance ends somewhere."""
    sample, begin = fit.started()
    states = iterate(statistics_of_sample(sample), start([begin]), asked(None, AT_REST))
    climb = np.array([state.best.mean_log_likelihood for state in states])
    ends = {}
    for tol in TOLERANCES:
        still = np.flatnonzero(np.abs(np.diff(climb)) < tol)
        end = int(still[0]) + 1 if len(still) else len(climb) - 1
        ends[tol] = Ending(end + 1, float(climb[end]), float(climb[-1]))
    return ends


def accelerated(fit: Fit, name: str, tol: float, beside: Ending) -> Ending:
    """An acceleration; plain EM goes on where it stopped lower than plain EM's optimum."""
    sample, begin = fit.started()
    states = [*iterate(statistics_of_sample(sample), start([begin]), asked(name, tol))]
    end, level = states[-1].best, beside.optimum - SAME * abs(beside.optimum)
    stopped = optimum = end.mean_log_likelihood
    if (len(states), stopped) == (beside.passes, beside.stopped):
        return beside
    if optimum < level:
        for state in iterate(
            statistics_of_sample(sample), start([end.mixture]), asked(None, AT_REST)
        ):
            optimum = state.best.mean_log_likelihood
            if optimum >= level:
                break
    return Ending(len(states), stopped, optimum)


Pair = tuple[Ending, Ending]
"""Plain EM's ending, and the acceleration's from the same start."""


def summary(pairs: Sequence[Pair]) -> dict[str, float]:
    """What is told of all fits at one tolerance."""
    slow = sorted(pairs, key=lambda pair: pair[0].passes)[len(pairs) // 2 :]
    more = [pair for pair in pairs if pair[1].passes > pair[0].passes + 1]
    return {
        "fits": len(pairs),
        "lower": sum(above(p.optimum, a.optimum) for p, a in pairs),
        "higher": sum(above(a.optimum, p.optimum) for p, a in pairs),
        "stopped lower": sum(above(p.stopped, a.stopped) for p, a in pairs),
        "stopped higher": sum(above(a.stopped, p.stopped) for p, a in pairs),
        "plain passes": sum(p.passes for p, _ in pairs),
        "passes": sum(a.passes for _, a in pairs),
        "slow half": sum(p.passes for p, _ in slow) / sum(a.passes for _, a in slow),
        "slow half, median": float(np.median([p.passes / a.passes for p, a in slow])),
        "more passes": len(more),
        "most more": max(a.passes - p.passes for p, a in pairs),
    }


def above(one: float, other: float) -> bool:
    """Whether one mean log-likelihood is higher than another by more than what is the same."""
    return one > other + SAME * abs(other)


def missed(name: str, tol: float, found: dict[str, float]) -> list[str]:
    """Targets that do not hold."""
    told = []
    if found["lower"] > LOWER * found["fits"]:
        told.append(f"{found['lower']:.0f} end lower than plain EM, more than {LOWER:.1%}")
    if found["higher"] < found["lower"]:
        told.append("fewer end higher than lower")
    if tol == min(TOLERANCES) and found["slow half"] < FEWER_PASSES:
        told.append(f"only {found['slow half']:.1f}x fewer passes on the slow half")
    if found["more passes"]:
        told.append(f"{found['more passes']:.0f} take more than plain EM's passes + 1")
    return [f"missed by {name} at {tol:g}: {one}" for one in told]


def main(arguments: Sequence[str]) -> int:
    """A line a tolerance; 1 where a target is missed."""
    seed = int(arguments[0]) if arguments else 0
    beside = {fit: plain(fit) for fit in fits(seed)}
    table, misses = {}, []
    for tol in TOLERANCES:
        pairs = [
            (ends[tol], accelerated(fit, "auto", tol, ends[tol])) for fit, ends in beside.items()
        ]
        table[f"{tol:g}"] = found = summary(pairs)
        print(
            f"{tol:g}: " + ", ".join(f"{of} {value:.4g}" for of, value in found.items()), flush=True
        )
        misses += missed("auto", tol, found)
        save("basins", {"seed": seed, "auto": table})
    print("\n".join(misses) or "all targets hold for auto")
    return bool(misses)


if __name__ == "__main__":
    with threadpool_limits(1):
        sys.exit(main(sys.argv[1:]))
