"""What came out, component by component, what happened on the way, and whether it all holds."""

from __future__ import annotations

from dataclasses import replace
from math import log10

import numpy as np

from gmm_dask.fitting.html_table import html_table
from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.identities import verify
from gmm_dask.mixture.maximisation import maximise, resting_on
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.summary import components_table
from gmm_dask.mixture.sweep import sweep
from gmm_dask.mixture.tables import Table
from gmm_dask.report.markup import paragraph, section
from gmm_dask.report.reported_run import ReportedRun

MOST_EVENTS = 40
ABREAST, MOST_FEATURES = 5, 10
"""So many features fit on a page side by side, and so many are shown at all."""
CHECKED = 20_000_000
"""Identities are checked on so many rows that rows · K · D² stays below: in seconds."""


def components(run: ReportedRun) -> str:
    """Weights, means ± sd, rows and conditioning of every component."""
    mixture = run.mixture
    if mixture is None:
        return ""
    tables = [
        components_table(
            mixture,
            run.names or None,
            features=range(first, min(first + ABREAST, mixture.features)),
            components=mixture.components,
            title=False,
        )
        for first in range(0, min(mixture.features, MOST_FEATURES), ABREAST)
    ]
    tables[0] = with_columns(tables[0], held(run))
    tables = [*(replace(table, note="") for table in tables[:-1]), tables[-1]]
    return section(
        "Components",
        paragraph(
            "Mean ± standard deviation in each feature. Σ r: the weight of all rows that belong to "
            "the component (responsibilities, summed). Condition: the largest eigenvalue of its "
            "covariance over the smallest, in units of the data's standard deviations.",
            "note",
        ),
        *map(html_table, tables),
    )


def with_columns(table: Table, columns: dict[str, list[str]]) -> Table:
    """More columns after the weight."""
    lines = zip(table.lines, *columns.values(), strict=True)
    return replace(
        table,
        headings=(*table.headings[:2], *columns, *table.headings[2:]),
        lines=tuple((*line[:2], *more, *line[2:]) for line, *more in lines),
    )


def held(run: ReportedRun) -> dict[str, list[str]]:
    """The rows and the conditioning of every component."""
    mixture, statistics = run.mixture, run.statistics
    columns: dict[str, list[str]] = {}
    if mixture is None:
        return columns
    if statistics is not None and len(statistics.counts) == mixture.components:
        columns["Σ r"] = [f"{count:,.1f}" for count in statistics.all_counts]
    told = [f"{condition:.3g}" for condition in conditions(mixture)]
    columns["condition"] = told + [""] * (mixture.noise is not None)
    return columns


def conditions(mixture: Mixture) -> Array:
    """The condition number of every covariance, (K,), features in the data's own deviations."""
    deviations = np.sqrt(mixture.variance)
    scaled = mixture.matrices / (deviations[:, None] * deviations)
    values = np.linalg.eigvalsh(scaled)
    smallest = np.maximum(values[:, 0], np.finfo(np.float64).tiny)
    ratios: Array = values[:, -1] / smallest
    return ratios


def events(run: ReportedRun) -> str:
    """What happened to components on the way, and which kernels ran."""
    happened = [
        (str(entry["iteration"]), _named(event.get("component")), event["kind"], event["reason"])
        for entry in run.history
        for event in entry.get("events", ())
    ]
    rest = len(happened) - MOST_EVENTS
    table = Table(
        ("iteration", "component", "event", "what happened"),
        tuple(happened[:MOST_EVENTS]),
        frozenset({2, 3}),
        note=f"… and {rest} more" if rest > 0 else "",
    )
    kernels = dict.fromkeys(str(entry.get("kernel")) for entry in run.history)
    ran = f"Kernel: {', then '.join(kernels)}." if run.history else ""
    calm = "Nothing degenerated: no component starved or collapsed, the likelihood never fell."
    resting = _resting(run)
    return section(
        "Conditioning and events",
        html_table(table) if happened else "" if resting else paragraph(calm),
        paragraph(resting, "warn") if resting else "",
        paragraph(f"{ran} {_conditioning(run)}", "note"),
    )


def _named(component: int | None) -> str:
    return "all" if component is None else str(component)


def _resting(run: ReportedRun) -> str:
    """Which components of the mixture as it is now are sound only by reg_covar."""
    reg_covar = run.configuration.get("reg_covar")
    if run.mixture is None or not reg_covar:
        return ""
    resting = resting_on(reg_covar, run.mixture)
    if not resting:
        return ""
    who = [str(event.component) for event in resting if event.component is not None]
    listed = f"Component{'s' * (len(who) > 1)} {', '.join(who)}" if who else "The shared covariance"
    return (
        f"{listed} rest{'s' * (len(who) < 2)} on reg_covar ({reg_covar:g}): in some direction more "
        "than half of the variance is regularisation, and a smaller reg_covar would raise the "
        "likelihood. Too many components, or features in too large a unit."
    )


def _conditioning(run: ReportedRun) -> str:
    if run.mixture is None:
        return ""
    ratios = conditions(run.mixture)
    worst = int(ratios.argmax())
    digits = max(0, round(15.9 - log10(max(float(ratios[worst]), 1))))
    return (
        f"The worst conditioned covariance is that of component {worst}, {ratios[worst]:.2g}: "
        f"about {digits} of 16 digits are left in its inverse."
    )


def identities(run: ReportedRun) -> str:
    """Both sides of every textbook identity, on the sample."""
    mixture, sample = run.mixture, run.sample
    if mixture is None or sample is None:
        return ""
    cost = mixture.components * mixture.features**2
    rows = sample.rows[: max(200, CHECKED // cost)]
    given = sample.weights[: len(rows)]
    try:
        checks = verify(mixture, rows, given)
        (statistics,) = sweep(rows, (mixture,), given)
        poor = maximise(statistics, mixture.family, Regularisation(reg_covar=0)).events
    except (ValueError, ArithmeticError) as problem:
        return section("Textbook identities", paragraph(f"They cannot be checked: {problem}"))
    marks = {True: "holds", False: "n/a" if poor else "FAILS"}
    lines = [
        (marks[i.holds], i.name, f"{i.left:.8g}", f"{i.right:.8g}", f"{i.error:.0e}", i.formula)
        for i in checks
    ]
    headings = ("", "identity", "left", "right", "error", "formula")
    thin = len({event.component for event in poor})
    note = (
        f"{thin} of {mixture.components} components have too few of these rows, or too little "
        "extent, for their likelihood to have a maximum: what concerns the M-step does not apply "
        "to them (n/a)."
    )
    return section(
        "Textbook identities",
        paragraph(
            f"On {len(rows):,} sampled rows: left sides from sufficient statistics, as every pass "
            "sums them; right sides from the rows, by definition; errors relative to the size of "
            "what is summed.",
            "note",
        ),
        paragraph(note, "note") if poor and not checks.holds else "",
        html_table(Table(headings, tuple(lines), frozenset({0, 1, 5}))),
    )
