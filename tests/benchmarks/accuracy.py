"""Errors of all kernels, of the merge and of weighted rows, against long double arithmetic.

    python -m tests.benchmarks.accuracy

The largest relative error of any component's covariance, beside the bound ε κ by which kernels are
chosen. `chosen` is what EM does: the bound picks the kernel before the pass, and the pass is
repeated where the bound does not hold for what came out. Exits with 1 where the target is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gmm_dask.mixture.compilation import compiles
from gmm_dask.mixture.evaluation import evaluate
from gmm_dask.mixture.kernels import Kernel
from gmm_dask.mixture.kernels.choice import error_bound
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.sweep import sweep

Block: TypeAlias = tuple[np.ndarray, np.ndarray | None]
"""Rows and their weights."""

TARGET = 1e-10
OFFSETS = (0.0, 1.0, 1e2, 1e3, 1e4, 1e6, 1e8)
ROWS, FEATURES, COMPONENTS, BLOCKS = 20_000, 4, 3, 7
PINNED: tuple[Kernel, ...] = ("quadratic", *(("fused",) if compiles() else ()), "centred")
WAYS = ("one block", "merged", "weighted")


@dataclass(frozen=True)
class Case:
    """Rows, and the mixture under which one pass is made."""

    name: str
    rows: np.ndarray
    mixture: Mixture

    @property
    def bound(self) -> float:
        """ε κ before the pass."""
        return error_bound(Frame.of([self.mixture]), self.mixture)

    def blocks(self, way: str) -> list[Block]:
        """The rows as they come: at once, in blocks, or in blocks and weighted."""
        if way == "one block":
            return [(self.rows, None)]
        weights = np.random.default_rng(1).gamma(1, size=len(self.rows))
        parts = np.array_split(np.arange(len(self.rows)), BLOCKS)
        return [(self.rows[p], weights[p] if way == "weighted" else None) for p in parts]


def cases(rows: int = ROWS) -> Iterator[Case]:
    """Components ever further from each other; all ever further from 0; one far block; and one
    component about to shrink to a point."""
    for offset in OFFSETS:
        yield case(f"apart by {offset:g} sd", rows, spread=offset, away=0.0)
    for offset in OFFSETS[2:]:
        yield case(f"away by {offset:g} sd", rows, spread=2.0, away=offset)
    for offset in (1e4, 1e8):
        near = case(f"one block {offset:g} sd off", rows, spread=2.0, away=0.0)
        near.rows[: len(near.rows) // BLOCKS] += offset
        yield near
    for width in (1e-4, 1e-8):
        yield shrinking(f"shrinking to sd {width:g}", rows, width)


def case(name: str, rows: int, spread: float, away: float) -> Case:
    """Unit components, their means `spread` apart, `away` from 0."""
    random = np.random.default_rng(0)
    means = random.normal(size=(COMPONENTS, FEATURES)) * spread + away
    found = means[random.integers(COMPONENTS, size=rows)] + random.normal(size=(rows, FEATURES))
    covariances = np.tile(np.eye(FEATURES), (COMPONENTS, 1, 1))
    return Case(name, found, Mixture(np.full(COMPONENTS, 1 / COMPONENTS), means, covariances))


def shrinking(name: str, rows: int, width: float) -> Case:
    """A cluster so narrow, one standard deviation from the mean of the component that takes it."""
    wide = case(name, rows, spread=20.0, away=0.0)
    nearest = ((wide.rows - wide.mixture.means[0]) ** 2).sum(axis=1) < 100
    centre = wide.mixture.means[0] + 0.5
    wide.rows[nearest] = centre + width * (wide.rows[nearest] - centre)
    return wide


def reference(case: Case, blocks: Sequence[Block]) -> np.ndarray:
    """Covariances (K, D, D) of the M-step in long double, by definition."""
    rows = np.concatenate([block for block, _ in blocks]).astype(np.longdouble)
    weights = np.concatenate([np.ones(len(b)) if w is None else w for b, w in blocks])
    mixture = case.mixture
    logs = np.stack(
        [
            normaliser - 0.5 * (((rows - mean) @ factor) ** 2).sum(axis=1)
            for normaliser, mean, factor in zip(
                mixture.log_normalisers, mixture.means, mixture.factors, strict=True
            )
        ]
    )
    members = np.exp(logs - logs.max(axis=0))
    members *= weights / members.sum(axis=0)
    covariances = []
    for r in members:
        deviations = rows - r @ rows / r.sum()
        deviations -= r @ deviations / r.sum()
        covariances.append((deviations.T * r) @ deviations / r.sum())
    return np.stack(covariances)


def error(statistics: SufficientStatistics, truth: np.ndarray) -> float:
    """The largest error of a covariance relative to its own largest entry."""
    found = statistics.scatter / statistics.counts[:, None, None]
    errors = np.abs(found - truth).max(axis=(1, 2)) / np.abs(truth).max(axis=(1, 2))
    return float(errors.max())


def folded(
    blocks: Sequence[Block], mixtures: tuple[Mixture, ...], kernels: tuple[Kernel, ...]
) -> tuple[SufficientStatistics, ...]:
    """One pass: the statistics of all blocks, added."""
    total = sweep(blocks[0][0], mixtures, blocks[0][1], kernels)
    for rows, weights in blocks[1:]:
        found = sweep(rows, mixtures, weights, kernels)
        total = tuple(a + b for a, b in zip(total, found, strict=True))
    return total


@dataclass(frozen=True)
class Errors:
    """What came out for one case: by pinned kernel and way, and as EM chooses."""

    name: str
    bound: float
    pinned: dict[tuple[Kernel, str], float]
    chosen: dict[str, float]
    kernel: Kernel

    @property
    def holds(self) -> bool:
        """Whether EM's own choice is good enough in every way."""
        return max(self.chosen.values()) <= TARGET

    def __str__(self) -> str:
        pinned = "  ".join(
            "".join(f"{self.pinned[kernel, way]:>9.0e}" for way in WAYS) for kernel in PINNED
        )
        chosen = "".join(f"{self.chosen[way]:>9.0e}" for way in WAYS)
        verdict = "" if self.holds else f"  more than {TARGET:g}"
        return f"{self.name:24}{self.bound:>8.0e}  {pinned}  {chosen} {self.kernel}{verdict}"


def measured(case: Case) -> Errors:
    """Every kernel and every way of one case."""
    pinned: dict[tuple[Kernel, str], float] = {}
    chosen: dict[str, float] = {}
    for way in WAYS:
        blocks = case.blocks(way)
        truth = reference(case, blocks)
        for kernel in PINNED:
            pinned[kernel, way] = error(folded(blocks, (case.mixture,), (kernel,))[0], truth)
        (found,), _ = evaluate(
            lambda mixtures, kernels, blocks=blocks: folded(blocks, mixtures, kernels),
            (case.mixture,),
        )
        chosen[way] = error(found.statistics, truth)
    return Errors(case.name, case.bound, pinned, chosen, found.kernel)


def main() -> int:
    """Print the table; 1 where the target is missed."""
    ways = "".join(f"{way:>9}" for way in ("1 block", *WAYS[1:]))
    print(f"{'':24}{'':8}" + "".join(f"  {name:^27}" for name in (*PINNED, "chosen")))
    print(f"{'relative errors':24}{'ε κ':>8}" + f"  {ways}" * (len(PINNED) + 1) + " kernel")
    every = []
    for one in cases():
        every.append(measured(one))
        print(every[-1], flush=True)
    missed = [errors.name for errors in every if not errors.holds]
    print(f"more than {TARGET:g}: {', '.join(missed)}" if missed else f"all within {TARGET:g}")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
