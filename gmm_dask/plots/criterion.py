"""Which mixture: a criterion against the number of components, a line per covariance family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gmm_dask.mixture.covariance import family_named
from gmm_dask.plots.colours import INK, axes
from gmm_dask.plots.passes import whole_numbers

if TYPE_CHECKING:
    from gmm_dask.fitting.selection import Choice, Selection


def criterion_curve(selection: Selection, criterion: str | None = None, ax: Any = None) -> Any:
    """BIC, AIC or ICL against K; the best is ringed, candidates that were dropped are hollow."""
    return choices_curve(selection.table, criterion or selection.criterion, ax)


def choices_curve(table: Sequence[Choice], criterion: str, ax: Any = None) -> Any:
    """The same of the lines of a selection's table."""
    ax = axes(ax)
    for family in dict.fromkeys(choice.covariance for choice in table):
        own = sorted(
            (c for c in table if c.covariance == family), key=lambda choice: choice.components
        )
        shade, marker = family_named(family).colour, family_named(family).marker
        numbers, values = [c.components for c in own], [getattr(c, criterion) for c in own]
        ax.plot(numbers, values, color=shade, lw=1.4, marker=marker, ms=5, label=family)
        dropped = [c for c in own if c.reason.startswith("dropped")]
        ax.plot(
            [c.components for c in dropped],
            [getattr(c, criterion) for c in dropped],
            marker, color=shade, mfc="white", ms=5, ls="",
        )  # fmt: skip
    best = min(table, key=lambda choice: choice.standing(criterion))
    ax.plot(
        best.components, getattr(best, criterion), "o", ms=13, mfc="none", color=INK, mew=1.4,
        label=f"best: {best.components}, {best.covariance}",
    )  # fmt: skip
    ax.set_xlabel("components")
    ax.set_ylabel(f"{criterion.upper()} (smaller is better)")
    ax.legend(frameon=False)
    whole_numbers(ax)
    return ax
