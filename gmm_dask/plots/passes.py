"""How a fit went, from the entries of its history: convergence, and what each pass took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.plots.colours import ALARM, FAINT, INK, PALETTE, axes

Entries = Sequence[Mapping[str, Any]]

MARKED = {"accelerated": (PALETTE[2], "^", 3.5), "refused": (PALETTE[3], "X", 6.5)}
"""Steps that are no plain EM steps: colour, mark and its size."""
MANY = 60
"""Passes beyond which single ones are not marked."""
AWAY = 60.0
"""Seconds beyond which nobody was at work between two passes: the run was interrupted there."""


def convergence(history: Entries, ax: Any = None) -> Any:
    """What was raised, after each pass: the mean log-likelihood, with what a prior adds to it;
    other candidates in grey, special steps marked."""
    ax = axes(ax)
    believed = any("objective" in entry for entry in history)
    passes = column(history, "passes")
    values = column(history, "objective" if believed else "mean_log_likelihood")
    for other in () if believed else _others(history):
        ax.plot(passes, other, color=FAINT, lw=0.8, zorder=1)
    ax.plot(passes, values, color=INK, lw=1.4, marker="o" if len(values) <= MANY else "", ms=3)
    _mark_steps(ax, history, passes, values)
    ax.set_xlabel("pass over the data")
    ax.set_ylabel(f"{'objective' if believed else 'mean log-likelihood'} (nats per row)")
    ax.ticklabel_format(axis="y", useOffset=False)
    whole_numbers(ax)
    return ax


def changes(history: Entries, tol: float | None = None, ax: Any = None) -> Any:
    """How much each pass changed the mean log-likelihood, on a log scale; falls are marked."""
    ax = axes(ax)
    passes, values = column(history, "passes"), column(history, "change")
    sizes = np.where(np.isfinite(values) & (values != 0), np.abs(values), np.nan)
    ax.plot(passes, sizes, color=INK, lw=1.4, marker="o" if len(values) <= MANY else "", ms=3)
    _mark_steps(ax, history, passes, sizes)
    fell = values < 0
    if fell.any():
        ax.plot(passes[fell], sizes[fell], "v", color=ALARM, ms=6, ls="", label="fell")
        ax.legend(frameon=False)
    if tol and np.isfinite(sizes).any():
        ax.axhline(tol, color=FAINT, lw=1, ls="--")
        ax.annotate(
            f"tol {tol:g}", (0, tol), (3, 3), color="#666666", fontsize="small",
            xycoords=("axes fraction", "data"), textcoords="offset points",
        )  # fmt: skip
    if np.isfinite(sizes).any():
        ax.set_yscale("log")
    else:
        ax.set(xticks=[], yticks=[])
        ax.text(0.5, 0.5, "no change", transform=ax.transAxes, ha="center", color="#666666")
    ax.set_xlabel("pass over the data")
    ax.set_ylabel("|change| (nats per row)")
    whole_numbers(ax)
    return ax


def time_per_pass(history: Entries, ax: Any = None) -> Any:
    """Seconds of each iteration: in its passes over the data, and between them on the driver."""
    ax = axes(ax)
    iterations = column(history, "iteration")
    within, between = seconds(history)
    total = within + between
    if len(iterations) <= MANY:
        ax.bar(iterations, within, color=PALETTE[0], width=0.8)
        ax.bar(iterations, between, bottom=within, color=PALETTE[1], width=0.8)
    else:
        ax.fill_between(iterations, within, step="mid", color=PALETTE[0], lw=0)
        ax.fill_between(iterations, within, total, step="mid", color=PALETTE[1], lw=0)
    ax.set_xlabel("iteration")
    ax.set_ylabel("seconds")
    ax.set_ylim(0, 1.45 * max(float(total.max(initial=0)), 1e-6))
    ax.legend(
        handles=_swatches({"passes over the data": PALETTE[0], "between them": PALETTE[1]}),
        frameon=False, loc="upper right",
    )  # fmt: skip
    whole_numbers(ax)
    return ax


def seconds(history: Entries) -> tuple[Array, Array]:
    """Seconds (T,) in passes, and between them: M-step, checkpoint, whatever else the driver did.

    Nothing is known of the time before the first pass; a gap of a minute and more that is also
    longer than the pass is an interruption and counts as nothing.
    """
    within = np.nan_to_num(column(history, "seconds"))
    ends = column(history, "time")
    between = np.diff(ends, prepend=ends[:1]) - within
    between[:1] = 0
    away = (between > AWAY) & (between > 3 * within) | ~np.isfinite(between)
    return within, np.where(away, 0, np.maximum(between, 0))


def column(history: Entries, name: str) -> Array:
    """One field of all entries, NaN where there is none."""
    values = [entry.get(name) for entry in history]
    return np.array([np.nan if value is None else float(value) for value in values])


def whole_numbers(ax: Any) -> None:
    """Iterations, passes and components have no halves."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _others(history: Entries) -> Array:
    """The mean log-likelihoods of all candidates, (candidates, T); empty where there is one."""
    lists = [entry.get("candidates") or [] for entry in history]
    width = max(map(len, lists), default=0)
    table = np.full((len(lists), width), np.nan)
    for row, values in zip(table, lists, strict=True):
        row[: len(values)] = [np.nan if value is None else value for value in values]
    return np.where(np.isfinite(table), table, np.nan).T


def _mark_steps(ax: Any, history: Entries, passes: Array, values: Array) -> None:
    steps = np.array([str(entry.get("step")) for entry in history])
    for step, (colour, marker, size) in MARKED.items():
        if (steps == step).any():
            at = steps == step
            most = size if len(steps) <= MANY else 0.7 * size
            ax.plot(passes[at], values[at], marker, color=colour, ms=most, ls="", label=step)
            ax.legend(frameon=False)


def _swatches(labels: Mapping[str, str]) -> list[Any]:
    from matplotlib.patches import Patch

    return [Patch(color=shade, label=label) for label, shade in labels.items()]
