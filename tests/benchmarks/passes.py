"""Passes over the data until a fit stops at tol = 1e-8: plain EM against every acceleration.

    python -m tests.benchmarks.passes [random SEED COUNT]

`reach` is the pass at which the acceleration is first as high as plain EM is in the end, `ratio`
plain passes over its own until it stops, `gain` by how much its final mean log-likelihood is above
plain EM's. With `random`, only a summary over so many random problems: how often a different
optimum was reached. Exits with 1 where `auto` misses a target.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from gmm_dask.mixture.iteration import EMSettings, iterate, start
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.starts import METHODS, MOVED
from gmm_dask.mixture.starts.initial import Sample, initial_mixture
from gmm_dask.mixture.starts.race import statistics_of_sample
from gmm_dask.mixture.stopping import Stopping
from tests.benchmarks.results import save

TOL = 1e-8
NAMES = ("squarem", "anderson", "auto")
MORE_PASSES = 1.1
FEWER_PASSES = 3.0
SAME = 1e-6
"""Final log-likelihoods closer than this are of one optimum: plain EM itself stops this early."""
DIFFERENT_OPTIMA = 0.1
"""The share of fits that may end at a lower optimum than plain EM's."""


class Problem(NamedTuple):
    """Rows of a random mixture, means `separation` standard deviations from the origin."""

    seed: int
    rows: int
    features: int
    components: int
    separation: float
    family: str = "full"
    fitted: int | None = None
    start: str = "kmeans"
    concentration: float = 10.0

    def drawn(self) -> tuple[Sample, Mixture]:
        """The rows, and the mixture that all fits start from."""
        random = np.random.default_rng(self.seed)
        k, d = self.components, self.features
        means = random.normal(size=(k, d)) * self.separation
        noise = random.normal(size=(k, d, 3 * d))
        lower = np.linalg.cholesky(noise @ noise.transpose(0, 2, 1) / (3 * d))
        weights = random.dirichlet(np.full(k, self.concentration))
        labels = random.choice(k, size=self.rows, p=weights)
        normal = random.normal(size=(self.rows, d, 1))
        sample = Sample.of(means[labels] + (lower[labels] @ normal)[:, :, 0])
        begin = initial_mixture(sample, self.fitted or k, self.family, random, self.start)
        return sample, begin

    def __str__(self) -> str:
        k = self.fitted or self.components
        return (
            f"{self.family:<9} K={k} D={self.features} {self.separation:>4.1f} apart, {self.start}"
        )


PROBLEMS = (
    Problem(1, 2000, 2, 3, 1.5),
    Problem(2, 3000, 2, 4, 1.2),
    Problem(3, 3000, 1, 3, 2),
    Problem(4, 3000, 4, 5, 1),
    Problem(5, 3000, 4, 5, 1, "diag"),
    Problem(6, 3000, 5, 6, 1, "tied"),
    Problem(7, 3000, 3, 6, 1.2, "spherical"),
    Problem(8, 3000, 8, 4, 3),
    Problem(9, 3000, 2, 3, 10),
    Problem(10, 3000, 4, 5, 5, "diag"),
    Problem(11, 3000, 2, 3, 1, fitted=6),
    Problem(12, 3000, 6, 3, 0.7, start="random"),
    Problem(13, 3000, 3, 4, 1.5, start="random_from_data"),
    Problem(14, 3000, 8, 8, 1.2, concentration=1),
)


@dataclass(frozen=True)
class Run:
    """The mean log-likelihood after every pass of one fit."""

    climb: tuple[float, ...]

    @property
    def passes(self) -> int:
        """Until it stopped."""
        return len(self.climb)

    def reach(self, level: float) -> int | None:
        """The first pass as high as this."""
        return next((i for i, value in enumerate(self.climb, 1) if value >= level - 1e-12), None)


def fitted(problem: Problem, names: Sequence[str] = NAMES) -> tuple[Run, dict[str, Run]]:
    """Plain EM and the accelerations, from the same start."""
    sample, begin = problem.drawn()
    statistics_of = statistics_of_sample(sample)

    def run(accelerate: str | None) -> Run:
        settings = EMSettings(Stopping(tol=TOL, max_iter=50_000), accelerate=accelerate)
        states = iterate(statistics_of, start([begin]), settings)
        return Run(tuple(state.candidates[0].mean_log_likelihood for state in states))

    return run(None), {name: run(name) for name in names}


class Score(NamedTuple):
    """One acceleration on one problem."""

    plain: int
    passes: int
    reach: int | None
    gain: float

    @property
    def ratio(self) -> float:
        """How many times fewer passes."""
        return self.plain / self.passes

    def __str__(self) -> str:
        reach = "-" if self.reach is None else self.reach
        return f"{self.passes:>7}{reach:>6}{self.ratio:>7.1f}{self.gain:>9.0e}"


def scored(plain: Run, run: Run) -> Score:
    """Against plain EM's own end."""
    final = plain.climb[-1]
    return Score(plain.passes, run.passes, run.reach(final), run.climb[-1] - final)


def random_problem(seed: int) -> Problem:
    """Any family, start and separation."""
    random = np.random.default_rng(seed)
    return Problem(
        seed,
        int(random.choice([600, 1500])),
        int(random.integers(1, 6)),
        int(random.integers(2, 6)),
        float(random.choice([0.8, 1.2, 2, 3, 6])),
        str(random.choice(["full", "tied", "diag", "spherical"])),
        start=str(random.choice([name for name in METHODS if name not in MOVED])),
        concentration=float(random.choice([1, 10])),
    )


def summary(name: str, scores: Sequence[Score]) -> str:
    """One line about one acceleration."""
    slow = [score.ratio for score in slow_half(scores)]
    lower = sum(score.gain < -SAME for score in scores)
    higher = sum(score.gain > 100 * SAME for score in scores)
    passes, plain = sum(score.passes for score in scores), sum(score.plain for score in scores)
    return (
        f"{name:<9} worst {min(s.ratio for s in scores):.2f}x; slow half: median "
        f"{np.median(slow):.1f}x, least {min(slow):.1f}x; all passes {passes} for {plain}; "
        f"of {len(scores)} optima {lower} lower, {higher} higher"
    )


def slow_half(scores: Sequence[Score]) -> list[Score]:
    """Where plain EM needs the most passes."""
    return sorted(scores, key=lambda score: score.plain)[len(scores) // 2 :]


def missed(scores: Sequence[Score]) -> list[str]:
    """Targets that do not hold."""
    worst = min(score.ratio for score in scores)
    slow, lower = slow_half(scores), sum(score.gain < -SAME for score in scores)
    fewer = sum(score.plain for score in slow) / sum(score.passes for score in slow)
    found = []
    if worst * MORE_PASSES < 1:
        found.append(f"missed: {1 / worst:.2f} times the passes of plain EM")
    if fewer < FEWER_PASSES:
        found.append(f"missed: only {fewer:.1f}x fewer passes on the slow half")
    if lower > DIFFERENT_OPTIMA * len(scores):
        found.append(f"missed: {lower} of {len(scores)} fits ended lower than plain EM")
    return found


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table; 1 where a target is missed."""
    if arguments:
        seed, count = map(int, arguments[1:])
        return surveyed([random_problem(seed + i) for i in range(count)])
    print(f"{'':42}{'plain':>6}" + "".join(f" |{name:>28}" for name in NAMES))
    heads = f" |{'passes':>6}{'reach':>6}{'ratio':>7}{'gain':>9}"
    print(f"{'':42}{'passes':>6}{heads * len(NAMES)}")
    scores: dict[str, list[Score]] = {name: [] for name in NAMES}
    for problem in PROBLEMS:
        plain, runs = fitted(problem)
        for name, run in runs.items():
            scores[name].append(scored(plain, run))
        line = " |".join(str(scores[name][-1])[1:] for name in NAMES)
        print(f"{problem!s:<42}{plain.passes:>6} |{line}", flush=True)
    for name in NAMES:
        print(summary(name, scores[name]))
    told = {name: [score._asdict() for score in found] for name, found in scores.items()}
    save("passes", {"problems": [str(problem) for problem in PROBLEMS], "by": told})
    misses = missed(scores["auto"])
    print("\n".join(misses) or "all targets hold for auto")
    return bool(misses)


def surveyed(problems: Sequence[Problem]) -> int:
    """Summaries over many problems, and those where `auto` takes more passes than it may."""
    scores: dict[str, list[Score]] = {name: [] for name in NAMES}
    for problem in problems:
        plain, runs = fitted(problem)
        for name, run in runs.items():
            scores[name].append(scored(plain, run))
        if scores["auto"][-1].ratio * MORE_PASSES < 1:
            print(problem, scores["auto"][-1])
    for name in NAMES:
        print(summary(name, scores[name]))
    return min(score.ratio for score in scores["auto"]) * MORE_PASSES < 1


if __name__ == "__main__":
    with threadpool_limits(1):
        sys.exit(main(sys.argv[1:]))
