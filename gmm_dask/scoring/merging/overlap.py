"""What was found of the components of a mixture: how far they share rows, and what to join."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.tables import Table
from gmm_dask.scoring.merging.merged import MergedMixture
from gmm_dask.scoring.merging.sums import OverlapSums
from gmm_dask.scoring.merging.tree import RULES, Cluster, Merge, MergeTree, Rule, misclassified

MOST_PAIRS = 12
LISTED, FIRST = 12, 4
"""Components of a cluster that are listed, and of a larger one."""


@dataclass(frozen=True, eq=False)
class Overlap:
    """The pairs of a mixture's components, and a tree of merges by each rule."""

    mixture: Mixture
    sums: OverlapSums
    trees: Mapping[Rule, MergeTree]

    @property
    def misclassified(self) -> Array:
        """P(taken for i | of j) where these two alone compete, (K, K)."""
        return misclassified(self.sums)

    @property
    def labelled(self) -> Array:
        """P(labelled i | of j) where all compete, (K, K): columns sum to 1."""
        return self.sums.labelled / np.maximum(self.sums.counts, np.finfo(np.float64).tiny)

    @property
    def entropy(self) -> float:
        """−Σ_n Σ_k r_nk log r_nk of the components."""
        return self.tree().entropies[-1]

    def tree(self, by: Rule = "entropy") -> MergeTree:
        """The merges by a rule."""
        if by not in self.trees:
            raise Refusal(f"by={by!r} is no rule of merging; pass one of {', '.join(RULES)}")
        return self.trees[by]

    def merged(self, clusters: int | None = None, by: Rule = "entropy") -> MergedMixture:
        """The mixture as so many clusters of components; left out, as many as are suggested."""
        tree = self.tree(by)
        count = tree.suggested if clusters is None else clusters
        return MergedMixture(self.mixture, tree.cluster_of(count))

    def __str__(self) -> str:
        tables = [closest_pairs(self), *(merges_table(tree) for tree in self.trees.values())]
        return "\n\n".join(map(str, tables))

    def summary(self) -> dict[str, Any]:
        """What was found, for a program: JSON-able."""
        return {
            "weight": float(self.sums.counts.sum()),
            "misclassified": self.misclassified.tolist(),
            "labelled": self.labelled.tolist(),
            "trees": {rule: tree.summary() for rule, tree in self.trees.items()},
        }

    def values(self) -> dict[str, Any]:
        """Everything but the mixture, JSON-able."""
        sums = {name: values.tolist() for name, values in vars(self.sums).items()}
        trees = {rule: [list(merge) for merge in tree.merges] for rule, tree in self.trees.items()}
        return {"sums": sums, "merges": trees}

    @classmethod
    def of(cls, mixture: Mixture, values: Mapping[str, Any]) -> Overlap:
        """What `values` gave, of the same mixture."""
        sums = OverlapSums(**{name: np.array(one) for name, one in values["sums"].items()})
        trees = {rule: _tree(rule, mixture, merges) for rule, merges in values["merges"].items()}
        return cls(mixture, sums, trees)


def _tree(rule: Rule, mixture: Mixture, merges: list[Any]) -> MergeTree:
    made = (Merge(tuple(one), tuple(other), gain, share) for one, other, gain, share in merges)
    return MergeTree(rule, mixture.components, tuple(made))


def closest_pairs(overlap: Overlap) -> Table:
    """The pairs of components of which most rows would be taken for the other's, a line each."""
    shares, gains = overlap.misclassified, overlap.sums.gains
    total = overlap.sums.counts.sum()
    either = np.triu(np.maximum(shares, shares.T), 1)
    order = np.argsort(-either, axis=None, kind="stable")
    pairs = [divmod(int(place), len(either)) for place in order]
    pairs = [(i, j) for i, j in pairs if i < j]
    lines = [
        (str(i), str(j), f"{shares[j, i]:.2%}", f"{shares[i, j]:.2%}", f"{gains[i, j] / total:.5f}")
        for i, j in pairs[:MOST_PAIRS]
    ]
    more = len(pairs) - MOST_PAIRS
    return Table(
        ("i", "j", "i taken for j", "j taken for i", "entropy/row lost as one"),
        tuple(lines),
        title="components that share rows",
        note=f"… and {more} pairs more" if more > 0 else "",
    )


def merges_table(tree: MergeTree) -> Table:
    """A line for each merge, from all components down to one cluster."""
    lines = [
        (
            str(tree.components - done),
            f"{named(merge.one)} + {named(merge.other)}",
            f"{merge.misclassified:.2%}",
            f"{merge.gain:.6g}",
            f"{tree.entropies[tree.components - done - 1]:.6g}",
        )
        for done, merge in enumerate(tree.merges, start=1)
    ]
    return Table(
        ("clusters", "made of", "misclassified", "entropy lost", "entropy left"),
        tuple(lines),
        frozenset({1}),
        title=f"merged by {tree.rule}",
        note=f"suggested: {counted(tree.suggested)} of {tree.components} components",
    )


def counted(clusters: int) -> str:
    """So many."""
    return f"{clusters} cluster{'s' * (clusters != 1)}"


def named(cluster: Cluster) -> str:
    """A cluster by its components, or the first of them and how many there are."""
    if len(cluster) <= LISTED:
        return ",".join(map(str, cluster))
    return f"{','.join(map(str, cluster[:FIRST]))},… ({len(cluster)})"
