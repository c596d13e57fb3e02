"""Rows and components two features at a time: coloured points, and ellipses of covariance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gmm_dask.mixture.arrays import Array, Indices, Rows, as_rows
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.plots.colours import INK, NOISE_GREY, axes, colour, names_of, pyplot, style
from gmm_dask.plots.directions import view

SHARE = 0.9
"""An ellipse holds this share of its component (of the two features alone)."""
RADIUS = float(np.sqrt(-2 * np.log(1 - SHARE)))
FURTHEST = 10
LABELLED = 30
"""Beyond so many components their numbers would hide the picture."""


def scatter(
    mixture: Mixture,
    rows: ArrayLike | None = None,
    features: tuple[int, int] = (0, 1),
    names: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
    labels: Indices | None = None,
    ax: Any = None,
) -> Any:
    """Rows in two features, coloured by their most probable component, noise in grey, and each
    component's ellipse, which holds 90 % of it; larger points weigh more."""
    ax = axes(ax)
    x, y = features
    named = names_of(mixture.features, names)
    if rows is not None:
        _points(ax, mixture, as_rows(rows, mixture.features), features, weights, labels)
    pair = mixture.gaussians.marginal(list(features))
    for k in np.argsort(-pair.weights):
        _ellipse(ax, pair, int(k))
    limits(ax, pair, None if rows is None else np.asarray(rows)[:, list(features)])
    ax.set_xlabel(named[x])
    ax.set_ylabel(named[y])
    return ax


def pairs(
    mixture: Mixture,
    rows: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
    figure: Any = None,
) -> Any:
    """Every pair of up to 6 features, else of the 4 leading discriminant directions.

    Gives the axes as an array, (P − 1, P − 1), of which those above the diagonal are None.
    """
    given = None if rows is None else as_rows(rows, mixture.features)
    labels = None if given is None else mixture.labels(given)
    seen = view(mixture, given, names)
    if seen.mixture.features < 2:
        raise Refusal("one feature alone has no pairs: see densities")
    size = seen.mixture.features - 1
    if figure is None:
        edge = 1.6 + max(2.2, 5.2 / size) * size
        figure = pyplot().figure(figsize=(edge, edge * 0.9), layout="constrained")
    grid = np.full((size, size), None, dtype=object)
    for i in range(size):
        for j in range(i + 1):
            shared = {"sharex": grid[i - 1, j] if i > j else None, "sharey": grid[i, 0]}
            ax = figure.add_subplot(size, size, i * size + j + 1, **shared)
            grid[i, j] = scatter(
                seen.mixture, seen.rows, (j, i + 1), None, weights, labels, ax
            )  # fmt: skip
            _label_edges(ax, seen.names, i, j, size)
    figure.align_labels()
    return grid


def _label_edges(ax: Any, names: Sequence[str], i: int, j: int, size: int) -> None:
    ax.set_xlabel(names[j] if i == size - 1 else "")
    ax.set_ylabel(names[i + 1] if j == 0 else "")
    ax.tick_params(labelbottom=i == size - 1, labelleft=j == 0, labelsize="small")
    ax.locator_params(nbins=5 if size < 4 else 3)


def _points(
    ax: Any,
    mixture: Mixture,
    rows: Rows,
    features: tuple[int, int],
    weights: ArrayLike | None,
    labels: Indices | None,
) -> None:
    assigned = mixture.labels(rows) if labels is None else labels
    size = float(np.clip(6000 / max(len(rows), 1), 4, 24))
    sizes: Any = size
    if weights is not None:
        given = np.asarray(weights, np.float64)
        sizes = size * np.clip(given / given.mean(), 0.1, 10)
    ax.scatter(
        rows[:, features[0]],
        rows[:, features[1]],
        s=sizes,
        c=np.array([*(colour(k) for k in range(mixture.components)), NOISE_GREY])[assigned],
        alpha=0.45,
        lw=0,
        rasterized=True,
        zorder=1,
    )


def _ellipse(ax: Any, pair: Mixture, k: int) -> None:
    from matplotlib.patheffects import withStroke

    outline = ellipse(pair.means[k], pair.matrices[k])
    # Dark lines over the coloured points: those of a component's own colour would drown in them.
    ax.plot(*outline, color="white", lw=2.6, zorder=2, alpha=0.8)
    ax.plot(*outline, color=colour(k), ls=style(k), lw=1.5, zorder=3)
    if pair.components <= LABELLED:
        ax.annotate(
            str(k), pair.means[k], ha="center", va="center", fontsize="small", color=INK,
            fontweight="bold", zorder=4, annotation_clip=True,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )  # fmt: skip
    else:
        ax.plot(*pair.means[k], "+", color=INK, ms=5, mew=1, zorder=4)


def ellipse(mean: Array, covariance: Array, points: int = 100) -> Array:
    """The outline (2, points) that holds 90 % of a Gaussian of two features."""
    values, vectors = np.linalg.eigh(covariance)
    turn = np.linspace(0, 2 * np.pi, points)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    return mean[:, None] + RADIUS * (vectors * np.sqrt(np.maximum(values, 0))) @ circle


def limits(ax: Any, pair: Mixture, rows: Rows | None) -> None:
    """All rows in sight but the furthest, else all ellipses; components beyond may be cut."""
    for j, set_limits in enumerate((ax.set_xlim, ax.set_ylim)):
        if rows is not None and len(rows):
            ends = in_sight(np.asarray(rows[:, j], np.float64))
        else:
            reach = (RADIUS + 0.2) * np.sqrt(pair.variances[:, j])
            means = pair.means[:, j]
            ends = float((means - reach).min()), float((means + reach).max())
        set_limits(*padded(*ends))


def in_sight(values: Array) -> tuple[float, float]:
    """From the smallest to the largest, but no further out than ten times the range of the middle
    99 %: one wrong row would leave nothing else to see."""
    low, high = np.quantile(values, [0.005, 0.995])
    reach = FURTHEST * (high - low)
    if not reach > 0:
        return float(values.min()), float(values.max())
    return max(float(values.min()), low - reach), min(float(values.max()), high + reach)


def padded(low: float, high: float, share: float = 0.06) -> tuple[float, float]:
    """Both ends a little further out, and apart even where all values are the same."""
    margin = share * (high - low)
    if not margin > 1e-12 * max(abs(low), abs(high)):
        margin = 0.5 * max(abs(low), 1.0) * (1e-3 if low else 1.0)
    return low - margin, high + margin
