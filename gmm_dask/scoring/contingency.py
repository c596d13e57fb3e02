"""How far two labellings of the same rows agree, from the table of both alone.

Pairs of rows are counted as in Hubert & Arabie (1985): n² of them, a row with itself left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import xlogy

from gmm_dask.mixture.arrays import Array, Indices


@dataclass(frozen=True, eq=False)
class Agreement:
    """The weight of the rows with label i by one and j by the other, (K, K'), and what follows.

    A row of weight w counts as w equal rows.
    """

    table: Array

    @property
    def weight(self) -> float:
        """Of all rows."""
        return float(self.table.sum())

    @cached_property
    def _pairs(self) -> tuple[float, float, float, float]:
        """Pairs of rows that lie together by both, by one, by the other; and all."""
        n = self.weight
        sums = (self.table, self.table.sum(axis=1), self.table.sum(axis=0))
        both, one, other = (float((counts**2).sum()) - n for counts in sums)
        return both, one, other, n * n - n

    @property
    def adjusted_rand(self) -> float:
        """1 where both are the same but for names, 0 on average where they are independent."""
        both, one, other, pairs = self._pairs
        if one == other == both:
            return 1.0
        chance = one * other / pairs
        return (both - chance) / ((one + other) / 2 - chance)

    @property
    def fowlkes_mallows(self) -> float:
        """The geometric mean of precision and recall of pairs that lie together."""
        both, one, other, _ = self._pairs
        return both / sqrt(one) / sqrt(other) if both > 0 else 0.0

    @property
    def rand(self) -> float:
        """The share of pairs of rows that lie together by both, or apart by both."""
        both, one, other, pairs = self._pairs
        return 1 + (2 * both - one - other) / pairs if pairs else 1.0

    @property
    def jaccard(self) -> float:
        """Of the pairs that lie together by either, the share that do by both."""
        both, one, other, _ = self._pairs
        either = one + other - both
        return both / either if either else 1.0

    @property
    def v_measure(self) -> float:
        """Mutual information over the mean of both entropies (normalised mutual information)."""
        joint, one, other = map(
            _entropy, (self.table, self.table.sum(axis=1), self.table.sum(axis=0))
        )
        if one + other == 0:
            return 1.0
        return max(0.0, 2 * (one + other - joint) / (one + other))

    @cached_property
    def matching(self) -> tuple[tuple[int, int], ...]:
        """Labels of one and of the other, taken for the same so that most rows agree."""
        pairs: Indices = np.transpose(linear_sum_assignment(self.table, maximize=True))
        return tuple((int(i), int(j)) for i, j in pairs)

    @property
    def matched(self) -> float:
        """The share of rows whose two labels are matched."""
        return sum(float(self.table[pair]) for pair in self.matching) / self.weight

    def values(self) -> dict[str, object]:
        """Everything, JSON-able."""
        indices = {name: getattr(self, name) for name in INDICES}
        return {**indices, "matching": self.matching, "table": self.table.tolist()}


INDICES = ("adjusted_rand", "fowlkes_mallows", "rand", "jaccard", "v_measure", "matched")


def _entropy(counts: Array) -> float:
    shares = counts / counts.sum()
    return float(-xlogy(shares, shares).sum())
