"""One feature at a time: the density of the mixture and of each component over a histogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gmm_dask.mixture.arrays import Array, as_rows
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.plots.colours import INK, axes, colour, names_of, pyplot, style
from gmm_dask.plots.directions import view
from gmm_dask.plots.scatter import in_sight, padded

TALLEST = 2.5
"""A density may rise so much above its histogram before it is cut: collapsed components are
needles that would leave nothing else to see."""
NUMBERED = 10
"""Up to so many components carry their number at their peak."""


NEAR = np.linspace(-4.5, 4.5, 73)
"""Deviations at which a component is drawn: beyond, nothing of it is seen."""


def density(
    mixture: Mixture,
    rows: ArrayLike | None = None,
    feature: int = 0,
    names: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
    ax: Any = None,
) -> Any:
    """The marginal density of one feature, in all and per component, over a histogram of rows."""
    ax = axes(ax)
    alone = visible(mixture).marginal([feature])
    values = None
    if rows is not None:
        values = np.asarray(as_rows(rows, mixture.features)[:, feature], np.float64)
    low, high = extent(alone, values)
    top = 0.0
    if values is not None and len(values):
        top = _histogram(ax, values, weights, (low, high))
    for k in range(mixture.components if mixture.components > 1 else 0):
        _component(ax, alone, k, (low, high))
    grid = points(alone, low, high)
    total = np.exp(alone.log_density(grid[:, None]))
    ax.plot(grid, total, color=INK, lw=1.5)
    highest = float(total.max())
    ax.set_ylim(0, 1.08 * (max(top, min(highest, TALLEST * top)) if top else highest))
    ax.set_xlim(low, high)
    ax.set_xlabel(names_of(mixture.features, names)[feature])
    ax.set_ylabel("density")
    return ax


def visible(mixture: Mixture) -> Mixture:
    """What can be drawn feature by feature: noise in a box, else the Gaussians alone."""
    drawn = mixture.noise is None or mixture.noise.box is not None
    return mixture if drawn else mixture.gaussians


def _component(ax: Any, alone: Mixture, k: int, ends: tuple[float, float]) -> None:
    """w_k N(x | μ_k, σ²_k) as far as it can be seen."""
    grid = np.unique(np.clip(alone.means[k] + np.sqrt(alone.variances[k]) * NEAR, *ends))
    curve = np.exp(alone.log_joint(grid[:, None])[:, k])
    ax.plot(grid, curve, color=colour(k), ls=style(k), lw=1.3)
    ax.fill_between(grid, curve, color=colour(k), alpha=0.12, lw=0)
    if alone.components <= NUMBERED:
        _number(ax, k, float(grid[curve.argmax()]), float(curve.max()))


def _number(ax: Any, k: int, x: float, y: float) -> None:
    from matplotlib.patheffects import withStroke

    ax.annotate(
        str(k), (x, y), ha="center", va="center", fontsize="x-small", fontweight="bold", color=INK,
        path_effects=[withStroke(linewidth=2, foreground="white")], annotation_clip=True,
    )  # fmt: skip


def densities(
    mixture: Mixture,
    rows: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
    figure: Any = None,
    most: int = 12,
) -> Any:
    """`density` of up to `most` features, else of the leading discriminant directions: axes (P,)"""
    given = None if rows is None else as_rows(rows, mixture.features)
    seen = view(mixture, given, names, most=most)
    count = seen.mixture.features
    columns = min(count, 1 if count == 1 else 2 if count in (2, 4) else 3)
    lines = -(-count // columns)
    if figure is None:
        size = (3.4 * columns if columns > 1 else 6, 2.4 * lines + (0.9 if lines == 1 else 0))
        figure = pyplot().figure(figsize=size, layout="constrained")
    made = []
    for j in range(count):
        ax = density(
            seen.mixture, seen.rows, j, None, weights, figure.add_subplot(lines, columns, j + 1)
        )
        ax.set_xlabel(seen.names[j])
        ax.set_ylabel("density" if j % columns == 0 else "")
        ax.tick_params(labelsize="small")
        ax.locator_params(axis="x", nbins=5)
        made.append(ax)
    return np.array(made, dtype=object)


def _histogram(
    ax: Any, values: Array, weights: ArrayLike | None, ends: tuple[float, float]
) -> float:
    bins = int(np.clip(np.sqrt(len(values)), 10, 45))
    held = None if weights is None else np.asarray(weights, np.float64)
    heights, edges = np.histogram(values, bins, ends, weights=held, density=True)
    ax.stairs(heights, edges, fill=True, color="#DADADA", zorder=0)
    return float(heights.max())


def extent(alone: Mixture, values: Array | None) -> tuple[float, float]:
    """From the smallest row to the largest; without rows, three standard deviations around."""
    if values is not None and len(values):
        return padded(*in_sight(values), 0.04)
    reach = 3 * np.sqrt(alone.variances[:, 0])
    centres = alone.means[:, 0]
    return padded(float((centres - reach).min()), float((centres + reach).max()), 0.02)


def points(alone: Mixture, low: float, high: float) -> Array:
    """Where to draw the total: evenly, and closely around narrow components."""
    close = alone.means[:, :1] + np.sqrt(alone.variances[:, :1]) * NEAR[::3]
    grid = np.concatenate([np.linspace(low, high, 300), close.ravel()])
    return np.unique(grid[(grid >= low) & (grid <= high)])
