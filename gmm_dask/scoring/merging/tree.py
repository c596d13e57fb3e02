"""Clusters of components, joined two by two from all of them down to one.

Two rules say which two come next, each summing pairs of clusters anew after every merge:

entropy             the two that lower the entropy of the clusters most (clustCombi: Baudry,
                    Raftery, Celeux, Lo & Gottardo 2010)
misclassification   the two of which one would be taken for the other most (DEMP: Hennig 2010,
                    between two at a time, as his own package fpc has it)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.scoring.merging.sums import Asked, OverlapSums

Rule: TypeAlias = Literal["entropy", "misclassification"]
Cluster: TypeAlias = tuple[int, ...]
"""Its components, in rising order."""
TAKEN_FOR_ANOTHER = 0.025
"""Clusters of which so many rows or more would be taken for another's belong together: Hennig's
default in fpc."""


class Merge(NamedTuple):
    """Two clusters become one: how much entropy goes, and the larger of the shares of either that
    would be taken for the other's."""

    one: Cluster
    other: Cluster
    gain: float
    misclassified: float


def misclassified(sums: OverlapSums) -> Array:
    """P(taken for i | of j), of the two alone, (C, C): DEMP."""
    return sums.lost / np.maximum(sums.counts, np.finfo(np.float64).tiny)


def _either_way(sums: OverlapSums) -> Array:
    shares = misclassified(sums)
    return np.maximum(shares, shares.T)


RULES: Mapping[Rule, Callable[[OverlapSums], Array]] = MappingProxyType(
    {"entropy": lambda sums: sums.gains, "misclassification": _either_way}
)
"""What the next two have the most of, for every pair (C, C)."""


@dataclass(frozen=True)
class MergeTree:
    """The merges by one rule, in their order."""

    rule: Rule
    components: int
    merges: tuple[Merge, ...] = ()

    def clusters(self, count: int) -> tuple[Cluster, ...]:
        """So many clusters, by their first components."""
        if not 1 <= count <= self.components:
            raise Refusal(f"{self.components} components make up 1 to {self.components} clusters")
        found: set[Cluster] = {(k,) for k in range(self.components)}
        for merge in self.merges[: self.components - count]:
            found = found - {merge.one, merge.other} | {joined(merge.one, merge.other)}
        return tuple(sorted(found))

    def cluster_of(self, count: int) -> tuple[int, ...]:
        """The cluster of each component, (K,), where there are so many of them."""
        found = self.clusters(count)
        places = {k: place for place, members in enumerate(found) for k in members}
        return tuple(places[k] for k in range(self.components))

    @property
    def entropies(self) -> tuple[float, ...]:
        """−Σ_n Σ_c r_nc log r_nc of 1, 2, …, K clusters: all that merges take from there on, so
        that small ones are as right as large ones."""
        gains = [merge.gain for merge in reversed(self.merges)]
        return tuple(np.cumsum([0.0, *gains]).tolist())

    def summary(self) -> dict[str, Any]:
        """The merges, the curve and what they suggest, JSON-able."""
        merges = [merge._asdict() for merge in self.merges]
        return {"merges": merges, "entropies": self.entropies, "suggested": self.suggested}

    @property
    def suggested(self) -> int:
        """How many clusters there may be: where the curve of entropies bends, in two straight
        pieces; or where the clusters are first told apart."""
        if self.rule == "entropy":
            return elbow(self.entropies)
        apart = (merge.misclassified < TAKEN_FOR_ANOTHER for merge in self.merges)
        return self.components - next((i for i, yes in enumerate(apart) if yes), len(self.merges))


def joined(one: Cluster, other: Cluster) -> Cluster:
    """The components of both."""
    return tuple(sorted((*one, *other)))


def elbow(values: tuple[float, ...]) -> int:
    """Where two straight lines, that both go through it, fit values at 1, 2, … with the least
    squares, as mclust's `clustCombiOptim`; of two values or one, the last."""
    count = len(values)
    if count < 3:
        return count
    numbers = np.arange(1.0, count + 1)
    errors = [
        _error(numbers[:bend], values[:bend]) + _error(numbers[bend - 1 :], values[bend - 1 :])
        for bend in range(2, count)
    ]
    return 2 + int(np.argmin(errors))


def _error(numbers: Array, values: tuple[float, ...]) -> float:
    slope, level = np.polynomial.polynomial.polyfit(numbers, values, 1)[::-1]
    return float(((level + slope * numbers - values) ** 2).sum())


@dataclass(frozen=True, eq=False)
class Growth:
    """A tree on its way: the clusters so far, and what is known of their pairs."""

    tree: MergeTree
    clusters: tuple[Cluster, ...]
    fresh: tuple[int, ...]
    known: OverlapSums | None = None

    @classmethod
    def of(cls, rule: Rule, components: int) -> Growth:
        """Before the first pass."""
        each = tuple((k,) for k in range(components))
        return cls(MergeTree(rule, components), each, tuple(range(components)))

    @property
    def whole(self) -> bool:
        """Whether there is nothing left to merge."""
        return len(self.clusters) == 1

    @property
    def asked(self) -> Asked:
        """What the next pass over the rows is to sum."""
        places = {k: place for place, members in enumerate(self.clusters) for k in members}
        return Asked(tuple(places[k] for k in range(self.tree.components)), self.fresh)

    def told(self, sums: OverlapSums) -> Growth:
        """Join the next two, by the sums that were asked for."""
        known = sums if self.known is None else self.known.renewed(sums, self.fresh)
        values = np.triu(RULES[self.tree.rule](known), 1)
        i, j = sorted(map(int, np.unravel_index(_first_of_most(values), values.shape)))
        share = float(_either_way(known)[i, j])
        merge = Merge(self.clusters[i], self.clusters[j], float(known.gains[i, j]), share)
        left = [cluster for place, cluster in enumerate(self.clusters) if place != j]
        left[i] = joined(merge.one, merge.other)
        tree = replace(self.tree, merges=(*self.tree.merges, merge))
        return Growth(tree, tuple(left), (i,), known.without(j))


def _first_of_most(values: Array) -> int:
    """Where the largest is above the diagonal; there it may be 0, as all below are."""
    above = np.triu(np.ones_like(values, dtype=bool), 1)
    return int(np.argmax(np.where(above, values, -1.0)))
