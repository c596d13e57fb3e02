"""The pictures of the report."""

from __future__ import annotations

import numpy as np

from gmm_dask import plots
from gmm_dask.mixture.arrays import Array
from gmm_dask.plots.scatter import in_sight
from gmm_dask.report.markup import paragraph, picture, section
from gmm_dask.report.overview import choices, time_spent
from gmm_dask.report.reported_run import ReportedRun

WIDTH = 10.2
"""Inches: a page on a screen."""
PAIRS, FEATURES = 6, 12


def convergence(run: ReportedRun) -> str:
    """How the likelihood rose."""
    if not run.history:
        return ""
    variational = run.configuration.get("method") == "variational"  # its tol is of the whole bound
    tol = None if variational else run.configuration.get("tol")
    return section(
        "Convergence",
        picture(
            lambda figure: [
                plots.convergence(run.history, figure.add_subplot(1, 2, 1)),
                plots.changes(run.history, tol, figure.add_subplot(1, 2, 2)),
            ],
            WIDTH,
            3.3,
            "Mean log-likelihood after each pass, and its changes on a log scale",
            _about_candidates(run),
        ),
    )


def _about_candidates(run: ReportedRun) -> str:
    if any(len(entry.get("candidates") or ()) > 1 for entry in run.history):
        return "In black the candidate of the highest likelihood, in grey all others."
    return ""


def selection(run: ReportedRun) -> str:
    """The candidates of a selection."""
    criterion = run.criterion
    if not run.choices or criterion is None:
        return ""
    return section(
        "Which mixture",
        picture(
            lambda figure: plots.choices_curve(run.choices, criterion, figure.add_subplot(1, 1, 1)),
            7,
            3.6,
            f"{criterion.upper()} against the number of components",
            "Hollow marks: dropped on the way, when they could not become the best any more.",
        ),
        choices(run),
    )


def weights_and_means(run: ReportedRun) -> str:
    """Weights as bars, means as colours."""
    mixture = run.mixture
    if mixture is None or mixture.components < 2:
        return ""
    height = float(np.clip(1.6 + 0.22 * mixture.components, 3.2, 9))
    return picture(
        lambda figure: [
            plots.weights(mixture, (axes := figure.subplots(1, 2))[0]),
            plots.means(mixture, run.names or None, axes[1]),
        ],
        WIDTH,
        height,
        "Weights of the components, and their means in each feature",
    )


def pairs(run: ReportedRun) -> str:
    """Two features at a time."""
    mixture = run.mixture
    if mixture is None or mixture.features < 2:
        return ""
    shown = (mixture.features if mixture.features <= PAIRS else 4) - 1
    edge = {1: 6.4, 2: 8.0}.get(shown, WIDTH)
    chosen = (
        ""
        if mixture.features <= PAIRS
        else "Directions in which the components differ most, of unit variance; loadings are in "
        "standard deviations of the features. "
    )
    return section(
        "Pairs of features",
        picture(
            lambda figure: plots.pairs(
                mixture, _rows(run), run.names or None, _weights(run), figure
            ),
            edge,
            edge * 0.84,
            "Pairs of features with an ellipse for each component",
            f"{chosen}Rows have the colour of their most probable component; each ellipse holds "
            f"90 % of its component; numbers stand at the means.{beyond(run)}",
        ),
    )


def densities(run: ReportedRun) -> str:
    """One feature at a time."""
    mixture = run.mixture
    if mixture is None:
        return ""
    count = mixture.features if mixture.features <= FEATURES else 4
    lines = -(-count // (1 if count == 1 else 2 if count in (2, 4) else 3))
    width = 6.4 if count == 1 else WIDTH
    return section(
        "Densities",
        picture(
            lambda figure: plots.densities(
                mixture, _rows(run), run.names or None, _weights(run), figure
            ),
            width,
            3.4 if lines == 1 else 2.5 * lines,
            "Density of the mixture over a histogram, feature by feature",
            "Black: the mixture; coloured: its components; grey: the histogram of the sample."
            + beyond(run),
        ),
    )


def time_per_pass(run: ReportedRun) -> str:
    """Where the time went."""
    if not run.history:
        return ""
    return section(
        "Time",
        time_spent(run),
        picture(
            lambda figure: plots.time_per_pass(run.history, figure.add_subplot(1, 1, 1)),
            WIDTH,
            2.6,
            "Seconds of each iteration",
        ),
    )


def missing_rows(run: ReportedRun) -> str:
    """Why pictures are without points."""
    if run.sample is not None:
        return ""
    return paragraph(
        "This run has kept no sample of its rows: pictures show the mixture alone. "
        "write_report(run, source=…) draws one.",
        "warn",
    )


def beyond(run: ReportedRun) -> str:
    """How many rows the pictures do not show."""
    rows = _rows(run)
    if rows is None:
        return ""
    ends = np.array([in_sight(values) for values in rows.T])
    count = int(((rows < ends[:, 0]) | (rows > ends[:, 1])).any(axis=1).sum())
    return f" {count} rows of the sample lie far beyond the edges." if count else ""


def _rows(run: ReportedRun) -> Array | None:
    return None if run.sample is None else run.sample.rows


def _weights(run: ReportedRun) -> Array | None:
    return None if run.sample is None else run.sample.weights
