"""Which components share rows, and how they are merged: a map, a tree and a curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gmm_dask.plots.colours import FAINT, INK, axes, colour
from gmm_dask.plots.passes import whole_numbers
from gmm_dask.scoring.merging.overlap import Overlap, counted
from gmm_dask.scoring.merging.tree import Cluster, MergeTree, joined

PRINTED, NUMBERED, NAMED, UPRIGHT = 12, 40, 16, 20
"""Up to so many components, shares are printed into their cells; components are numbered; merges
have their shares beside them; numbers below stand upright."""
LEAST, SEEN = 0.01, 0.0005
"""The colours reach so far at least, shares below being no overlap to speak of; and smaller ones
are not printed."""


def overlap(found: Overlap, ax: Any = None) -> Any:
    """Of each component, the share of its rows that would be taken for another's, as colour."""
    from matplotlib.colors import PowerNorm

    ax = axes(ax)
    order = leaves(found.tree())
    shares = found.misclassified.T[np.ix_(order, order)]
    blank = np.where(np.eye(len(order), dtype=bool), np.nan, shares)
    limit = max(LEAST, float(shares.max()))
    image = ax.imshow(blank, cmap="Blues", norm=PowerNorm(0.5, 0, limit), aspect="auto")
    if len(order) <= PRINTED:
        _print_shares(ax, shares, limit)
    step = -(-len(order) // NUMBERED)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(range(0, len(order), step), labels=order[::step], fontsize="small")
    ax.tick_params(axis="x", labelrotation=90 if len(order) > UPRIGHT else 0)
    ax.set_ylabel("rows of component")
    ax.set_xlabel("that would be taken for component")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, aspect=30, format=_percent)
    bar.outline.set_visible(False)
    return ax


def merges(tree: MergeTree, ax: Any = None) -> Any:
    """The tree of merges, from all components at the left to one cluster at the right; in colours
    where clusters are those that are suggested."""
    ax = axes(ax)
    order = leaves(tree)
    tops: dict[Cluster, tuple[float, int]] = {
        (k,): (float(place), 0) for place, k in enumerate(order)
    }
    suggested = sorted(tree.clusters(tree.suggested), key=lambda cluster: order.index(cluster[0]))
    for done, merge in enumerate(tree.merges, start=1):
        heights = [tops[merge.one], tops[merge.other]]
        middle = sum(height for height, _ in heights) / 2
        shade = _shade(joined(merge.one, merge.other), suggested)
        for part, (height, begun) in zip((merge.one, merge.other), heights, strict=True):
            ax.plot([begun, done], [height] * 2, color=_shade(part, suggested), lw=1.6)
        ax.plot([done] * 2, [height for height, _ in heights], color=shade, lw=1.6)
        if tree.components <= NAMED:
            ax.annotate(
                _percent(merge.misclassified), (done, middle), (3, 1.5), va="bottom",
                textcoords="offset points", fontsize="x-small", color="#555555",
            )  # fmt: skip
        tops[joined(merge.one, merge.other)] = middle, done
    _finish(ax, tree, order)
    return ax


def entropy_curve(tree: MergeTree, weight: float, ax: Any = None) -> Any:
    """The entropy of the clusters, per row, against their number; what is suggested is ringed."""
    ax = axes(ax)
    numbers = np.arange(1, tree.components + 1)
    values = np.array(tree.entropies) / weight
    ax.plot(numbers, values, color=INK, lw=1.4, marker="o", ms=4)
    count = tree.suggested
    ax.plot(
        count, values[count - 1], "o", ms=13, mfc="none", color=INK, mew=1.4,
        label=f"suggested: {count}",
    )  # fmt: skip
    if tree.rule == "entropy" and tree.components > 2:
        for part in (slice(count - 1), slice(count - 1, None)):
            _line(ax, numbers[max(part.start or 0, 0) : part.stop and part.stop + 1], values)
    ax.set_ylim(bottom=min(0, float(values.min())))
    ax.set_xlabel("clusters")
    ax.set_ylabel("entropy (nats per row)")
    ax.legend(frameon=False, loc="upper left")
    whole_numbers(ax)
    return ax


def leaves(tree: MergeTree) -> list[int]:
    """Components in an order in which no branches cross."""
    parts: dict[Cluster, list[int]] = {(k,): [k] for k in range(tree.components)}
    for merge in tree.merges:
        parts[joined(merge.one, merge.other)] = parts.pop(merge.one) + parts.pop(merge.other)
    return [k for part in parts.values() for k in part]


def _shade(part: Cluster, suggested: Sequence[Cluster]) -> str:
    """The colour of the suggested cluster that this is a part of, in their order; faint beyond."""
    within = (place for place, one in enumerate(suggested) if set(part) <= set(one))
    return next((colour(place) for place in within), FAINT)


def _finish(ax: Any, tree: MergeTree, order: list[int]) -> None:
    last, done = tree.components - 1, tree.components - tree.suggested
    cut = done + 0.5 if done < last else last + 0.5
    ax.axvline(cut, color=INK, lw=0.9, ls="--", zorder=0)
    ax.set_title(
        f"by {tree.rule}: {counted(tree.suggested)} suggested", fontsize="medium", color=INK
    )
    step = -(-len(order) // NUMBERED)
    ax.set_yticks(range(0, len(order), step), labels=order[::step], fontsize="small")
    ax.invert_yaxis()
    ticks = range(0, last + 1, -(-(last + 1) // 12))
    ax.set_xticks(ticks, labels=[str(tree.components - tick) for tick in ticks])
    ax.set_xlim(-0.1, last + 0.9)
    ax.set_xlabel("clusters left")
    ax.set_ylabel("component")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _line(ax: Any, numbers: Any, values: Any) -> None:
    slope, level = np.polyfit(numbers, values[numbers - 1], 1)
    ax.plot(numbers, level + slope * numbers, color=FAINT, lw=1, ls="--", zorder=0)


def _print_shares(ax: Any, shares: Any, limit: float) -> None:
    for (i, j), share in np.ndenumerate(shares):
        if i != j and share >= SEEN:
            shade = "white" if share > 0.4 * limit else INK
            text = _percent(share)
            ax.text(j, i, text, ha="center", va="center", fontsize="x-small", color=shade)


def _percent(share: float, place: object = None) -> str:
    """A share in few digits."""
    del place
    if share == 0 or share >= 0.0995:
        return f"{100 * share:.0f}%"
    return f"{100 * share:.1f}%" if share >= SEEN else "<0.1%"
