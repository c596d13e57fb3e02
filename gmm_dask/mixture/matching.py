"""Two mixtures of the same features side by side: which component is which, and how far apart.

Components have no order: those that are nearest each other, all together, are taken for the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.tables import Table


@dataclass(frozen=True)
class Match:
    """A component of one mixture and that of the other which it is taken for.

    `mean` is the largest difference of their means in any feature, in the other's standard
    deviations; `deviation` that of the standard deviations, relative to the other's.
    """

    component: int
    other: int
    weight: float
    other_weight: float
    mean: float
    deviation: float


def matched(mixture: Mixture, other: Mixture) -> tuple[Match, ...]:
    """The pairs of components whose Bhattacharyya distances have the least sum; the surplus of the
    mixture that has more of them is left out."""
    if mixture.features != other.features:
        raise Refusal(
            f"mixtures of {mixture.features} and {other.features} features cannot be compared"
        )
    pairs = linear_sum_assignment(distances(mixture, other))
    return tuple(_match(mixture, other, *pair) for pair in np.transpose(pairs).tolist())


def distances(mixture: Mixture, other: Mixture) -> Array:
    """Bhattacharyya distances (K, K') between the components of two mixtures:

    ⅛ Δᵀ Σ⁻¹ Δ + ½ log (|Σ| / √(|Σ_k| |Σ_l|)), where Σ = ½ (Σ_k + Σ_l).
    """
    one, two = mixture.matrices, other.matrices
    middle = (one[:, None] + two) / 2
    offsets = (mixture.means[:, None] - other.means)[..., None]
    apart = np.swapaxes(offsets, -1, -2) @ np.linalg.solve(middle, offsets)
    logs = [np.linalg.slogdet(matrices)[1] for matrices in (one, two, middle)]
    bhattacharyya: Array = apart[..., 0, 0] / 8 + (logs[2] - (logs[0][:, None] + logs[1]) / 2) / 2
    return bhattacharyya


def _match(mixture: Mixture, other: Mixture, k: int, j: int) -> Match:
    deviations = np.sqrt(other.variances[j])
    return Match(
        k,
        j,
        float(mixture.weights[k]),
        float(other.weights[j]),
        float((np.abs(mixture.means[k] - other.means[j]) / deviations).max()),
        float(np.abs(np.sqrt(mixture.variances[k]) / deviations - 1).max()),
    )


def matches_table(matches: tuple[Match, ...], title: str) -> Table:
    """A line for each pair, and how far apart they are at the most."""
    lines = [
        (
            str(one.component),
            f"{one.weight:.4f}",
            str(one.other),
            f"{one.other_weight:.4f}",
            f"{one.mean:.3f} sd",
            f"{one.deviation:.2%}",
        )
        for one in matches
    ]
    headings = ("k", "weight", "theirs", "weight", "means differ by", "sds differ by")
    note = (
        f"at the most: weights {max(abs(one.weight - one.other_weight) for one in matches):.4f}, "
        f"means {max(one.mean for one in matches):.3f} standard deviations, standard deviations "
        f"{max(one.deviation for one in matches):.2%}"
    )
    return Table(headings, tuple(lines), title=title, note=note)
