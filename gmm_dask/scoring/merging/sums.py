"""How far components, or clusters of them, share the rows: sums over rows, taken pair by pair.

Knows responsibilities; knows neither rows nor what is concluded from the sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmm_dask.mixture.arrays import Array

SMALLEST = np.finfo(np.float64).smallest_subnormal
"""Below it there is 0, of which 0 · log is 0; NumPy's loops take a ninth of the time of xlogy."""


@dataclass(frozen=True)
class Asked:
    """A partition of the components, the cluster of each, and whose pairs are asked for: all that
    one of the `fresh` clusters is in."""

    cluster_of: tuple[int, ...]
    fresh: tuple[int, ...]

    @property
    def clusters(self) -> int:
        """C."""
        return max(self.cluster_of) + 1


@dataclass(frozen=True, eq=False)
class OverlapSums:
    """Sums over rows n of weight v_n, of which cluster i has the share r_ni; they add up with `+`.

    counts (C,)          Σ v r_i
    products (C, C)      Σ v r_i r_j; it and the next only where every cluster is fresh, else 0
    labelled (C, C)      Σ v r_j [argmax r = i]: what j has of the rows that i is most probable for
    lost (C, C)          Σ v r_j [r_i > r_j]: what j has of the rows that i has more of
    gains (C, C)         the entropy that goes where i and j are one cluster, Σ v (h(r_i) + h(r_j) −
                         h(r_i + r_j)), h(r) = −r log r; 0 on the diagonal
    """

    counts: Array
    products: Array
    labelled: Array
    lost: Array
    gains: Array

    def __add__(self, other: OverlapSums) -> OverlapSums:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return OverlapSums(*(one + two for one, two in pairs))

    @classmethod
    def zero(cls, clusters: int) -> OverlapSums:
        """Of no rows."""
        return cls(np.zeros(clusters), *(np.zeros((clusters, clusters)) for _ in range(4)))

    def without(self, cluster: int) -> OverlapSums:
        """Of all the other clusters."""
        counts, *matrices = vars(self).values()
        kept = np.delete(np.arange(len(counts)), cluster)
        return OverlapSums(counts[kept], *(matrix[np.ix_(kept, kept)] for matrix in matrices))

    def renewed(self, fresh: OverlapSums, clusters: tuple[int, ...]) -> OverlapSums:
        """The fresh sums, with ours for the pairs that none of these clusters is in."""
        lost, gains = self.lost.copy(), self.gains.copy()
        for kept, new in ((lost, fresh.lost), (gains, fresh.gains)):
            kept[list(clusters)] = new[list(clusters)]
            kept[:, list(clusters)] = new[:, list(clusters)]
        return OverlapSums(fresh.counts, fresh.products, fresh.labelled, lost, gains)


def overlap_sums(
    responsibilities: Array, asked: Asked, weights: Array | None = None
) -> OverlapSums:
    """Of some rows, whose responsibilities (n, K) are of components."""
    size, every = asked.clusters, len(asked.fresh) == asked.clusters
    shares = shares_of_clusters(responsibilities, asked.cluster_of)[:, :size].T.copy()
    weighted = shares if weights is None else shares * weights
    sums = OverlapSums.zero(size)
    sums.counts[:] = weighted.sum(axis=1)
    if every:
        sums.products[:] = weighted @ shares.T
        most = shares.argmax(axis=0)
        for i in range(size):
            sums.labelled[i] = weighted[:, most == i].sum(axis=1)
    for i in asked.fresh:
        for others in (slice(i + 1, None), slice(0, 0 if every else i)):
            _add_pairs(sums, shares, weights, i, others)
    return sums


def shares_of_clusters(responsibilities: Array, cluster_of: tuple[int, ...]) -> Array:
    """Those of components (n, K) summed for each cluster, (n, C); what is said of no component, in
    columns after these, stays last."""
    own, others = np.split(responsibilities, [len(cluster_of)], axis=1)
    clusters = max(cluster_of) + 1
    if clusters == len(cluster_of):
        shares = own[:, np.argsort(cluster_of)]
    else:
        shares = own @ np.eye(clusters)[list(cluster_of)]
    return np.concatenate([shares, others], axis=1) if others.shape[1] else shares


def _add_pairs(
    sums: OverlapSums, shares: Array, weights: Array | None, i: int, others: slice
) -> None:
    """The pairs of one cluster with those before it, or with those after it: who has as much of a
    row as another has more of it if it comes first."""
    own, theirs = shares[i], shares[others]
    if not len(theirs):
        return
    each = np.ones(len(own)) if weights is None else weights
    more = own >= theirs if others.start == i + 1 else own > theirs
    low, high = np.minimum(own, theirs), np.maximum(own, theirs)
    sums.lost[i, others] = np.where(more, low, 0) @ each
    sums.lost[others, i] = np.where(more, 0, low) @ each
    sums.gains[i, others] = sums.gains[others, i] = entropy_lost(low, high) @ each


def entropy_lost(low: Array, high: Array) -> Array:
    """h(a) + h(b) − h(a + b), h(r) = −r log r, of shares of which `low` are the smaller ones: two
    terms that are not negative, so that nothing cancels."""
    ratio = low / np.maximum(high, SMALLEST)
    lost: Array = (low + high) * np.log1p(ratio) - low * np.log(np.maximum(ratio, SMALLEST))
    return lost
