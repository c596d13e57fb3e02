"""A mixture as a table: one line per component, mean ± standard deviation in each feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.noise import Noise
from gmm_dask.mixture.tables import Table, aligned, joined

SHOWN_FEATURES, SHOWN_COMPONENTS = 6, 60


class Described(Protocol):
    """What a table tells of a mixture."""

    @property
    def weights(self) -> Array: ...

    @property
    def means(self) -> Array: ...

    @property
    def variances(self) -> Array: ...

    @property
    def family(self) -> str: ...

    @property
    def noise(self) -> Noise | None: ...

    @property
    def all_weights(self) -> Array: ...


def components_table(
    mixture: Described,
    names: Sequence[str] | None = None,
    *,
    features: range | None = None,
    components: int = SHOWN_COMPONENTS,
    title: bool = True,
) -> Table:
    """Weight, and mean ± sd of the first features; the heaviest components where there are many.
    Noise is the last line, with the ends of its box."""
    count, width = mixture.means.shape
    named = (
        [f"x{j}" for j in range(width)]
        if names is None
        else [" ".join(name.split()) for name in names]
    )
    kept = np.sort(np.argsort(-mixture.weights, kind="stable")[:components])
    lines = [str(k) for k in kept] + ["noise"] * (mixture.noise is not None)
    weights = [*mixture.weights[kept], *mixture.all_weights[count:]]
    shown = range(min(SHOWN_FEATURES, width)) if features is None else features
    columns = [lines, aligned(weights, 0.01, small=True)]
    columns += [[*_column(mixture, kept, j), *_ends(mixture.noise, j)] for j in shown]
    headings = ["k", "weight", *(named[j] for j in shown)]
    rest = width - shown.stop
    left_out = [
        f"{count - len(kept)} lighter components" * (count > len(kept)),
        f"{rest} more features" * (rest > 0),
    ]
    note = " and ".join(filter(None, left_out))
    return Table(
        tuple(headings),
        tuple(zip(*columns, strict=True)),
        title=described(mixture) + ", mean ± sd" if title else "",
        note=f"… and {note}" if note else "",
    )


def described(mixture: Described) -> str:
    """In a few words."""
    k, d = mixture.means.shape
    noise = " and noise" * (mixture.noise is not None)
    return (
        f"Mixture of {k} component{'s' * (k > 1)}{noise} in {d} feature{'s' * (d > 1)}, "
        f"{mixture.family}"
    )


def _ends(noise: Noise | None, feature: int) -> list[str]:
    if noise is None:
        return []
    if noise.box is None:
        return ["everywhere"]
    low, high = aligned(noise.box[:, feature])
    return [f"{low} to {high}"]


def _column(mixture: Described, kept: Indices, feature: int) -> list[str]:
    deviations = np.sqrt(mixture.variances[kept, feature])
    unit = float(np.median(deviations))
    return joined(
        aligned(mixture.means[kept, feature], unit), aligned(deviations, unit, small=True)
    )
