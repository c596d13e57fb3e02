"""The components themselves: their weights, and where their means lie in every feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.tables import aligned
from gmm_dask.plots.colours import INK, NOISE_GREY, axes, colour, names_of
from gmm_dask.plots.passes import whole_numbers

NUMBERED = 12
"""Up to so many components, bars carry their weight as a number."""
CELLS = 160
"""Up to so many means, each is printed into its cell."""


def weights(mixture: Mixture, ax: Any = None) -> Any:
    """The weight of each component as a bar, and that of noise in grey."""
    ax = axes(ax)
    weights = mixture.all_weights
    numbers, noise = range(len(weights)), [NOISE_GREY] * (mixture.noise is not None)
    colours = [*(colour(k) for k in range(mixture.components)), *noise]
    bars = ax.bar(numbers, weights, color=colours, width=0.75)
    if mixture.components <= NUMBERED:
        labels = [f"{weight:.3g}" for weight in weights]
        ax.bar_label(bars, labels, padding=2, fontsize="small", color=INK)
        ax.set_xticks(numbers, [*range(mixture.components), *["noise"] * len(noise)])
    else:
        whole_numbers(ax)
    ax.set_ylim(0, 1.12 * weights.max())
    ax.set_xlabel("component")
    ax.set_ylabel("weight (share of the rows)")
    return ax


def means(mixture: Mixture, names: Sequence[str] | None = None, ax: Any = None) -> Any:
    """The mean of each component in each feature, as colour: sd away from the mean of all."""
    ax = axes(ax)
    labels = names_of(mixture.features, names)
    units = np.sqrt(mixture.variance)
    scores = (mixture.means - mixture.mean) / np.where(units > 0, units, 1)
    limit = max(1.0, float(np.abs(scores).max()))
    image = ax.imshow(scores, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
    if scores.size <= CELLS:
        _print_cells(ax, mixture, scores, limit)
    _ticks(ax.xaxis, labels, 40)
    _ticks(ax.yaxis, [str(k) for k in range(mixture.components)], 30)
    crowded = sum(map(len, labels)) > 60
    ax.tick_params(axis="x", labelrotation=60 if crowded else 0)
    ax.set_ylabel("component")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, aspect=30)
    bar.set_label("mean, in sd from the mean of all rows")
    bar.outline.set_visible(False)
    return ax


def _print_cells(ax: Any, mixture: Mixture, scores: Any, limit: float) -> None:
    size = "small" if scores.size <= CELLS / 4 else "x-small"
    units = np.median(np.sqrt(mixture.variances), axis=0)
    for j, unit in enumerate(units):
        for k, text in enumerate(aligned(mixture.means[:, j], float(unit), 2)):
            shade = "white" if abs(scores[k, j]) > 0.6 * limit else INK
            ax.text(j, k, text, ha="center", va="center", fontsize=size, color=shade)


def _ticks(axis: Any, labels: Sequence[str], most: int) -> None:
    step = -(-len(labels) // most)
    axis.set_ticks(range(0, len(labels), step), labels=labels[::step], fontsize="small")
