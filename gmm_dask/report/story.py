"""The parts of the report in words and tables: what was fitted to what, and what came out."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from math import ceil, isfinite, log10
from typing import Any

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.identities import verify
from gmm_dask.mixture.maximisation import Regularisation, maximise
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.sweep import sweep
from gmm_dask.mixture.table import components_table
from gmm_dask.plots.passes import seconds
from gmm_dask.report.account import Account
from gmm_dask.report.markup import code, facts, numbers, paragraph, section
from gmm_dask.selection import choices_table
from gmm_dask.tables import Table

MOST_LINES = 40
ABREAST, MOST_FEATURES = 5, 10
"""So many features fit on a page side by side, and so many are shown at all."""
CHECKED = 20_000_000
"""Identities are checked on so many rows that rows · K · D² stays below: in seconds."""


def title(account: Account) -> str:
    """What was fitted to what."""
    name = (account.address or "rows in memory").rstrip("/").rpartition("/")[2]
    if account.criterion:
        return f"A selection of Gaussian mixtures for {name}"
    settings = account.configuration
    count = settings.get("components", "?")
    return f"{count} {settings.get('covariance', '')} Gaussian{'s' * (count != 1)} for {name}"


def status(account: Account) -> str:
    """Finished, or how far it is."""
    last = account.history[-1] if account.history else None
    if account.finished is not None:
        return f"Finished: {str(account.finished.get('reason', '')).replace(': ', ', ')}."
    if last is None:
        return "Not finished: no iteration is done yet."
    return (
        f"Not finished: {last['iteration']} iterations and {last['passes']} passes are done, of at "
        f"most {account.configuration.get('max_iter', '?')} iterations; the last one changed the "
        f"mean log-likelihood by {_change(last)}. The same command goes on from here."
    )


def _change(entry: dict[str, Any]) -> str:
    return "an unknown amount" if entry.get("change") is None else f"{entry['change']:.2e}"


def result(account: Account) -> str:
    """The result in a few numbers."""
    statistics, mixture = account.statistics, account.mixture
    if statistics is None or mixture is None:
        return paragraph("No checkpoint of this run can be read, or none is written yet.", "warn")
    told = account.finished or {}
    cards = [
        ("components", f"{mixture.components}"),
        ("mean log-likelihood per row", f"{statistics.mean_log_likelihood:.6f}"),
        ("rows", f"{statistics.rows:,}"),
        *((name.upper(), f"{told[name]:,.1f}") for name in ("bic", "aic", "icl") if name in told),
        ("iterations", f"{account.history[-1]['iteration']}" if account.history else "?"),
        ("passes over the data", f"{account.history[-1]['passes']}" if account.history else "?"),
    ]
    if statistics.weight != statistics.rows:
        cards.insert(3, ("total weight", f"{statistics.weight:,.6g}"))
    return numbers(cards)


def origin(account: Account) -> str:
    """Data, configuration and versions."""
    fingerprint, record = account.record.fingerprint, account.record
    shape = fingerprint.get("shape") or ("?", "?")
    weights = fingerprint.get("weights")
    data: list[tuple[str, object]] = [
        ("data", account.address or "in memory"),
        ("rows × features", " × ".join(f"{n:,}" if isinstance(n, int) else str(n) for n in shape)),
        ("stored as", np.dtype(fingerprint["dtype"]).name if "dtype" in fingerprint else "?"),
        ("weights", "none" if not weights else weights.get("address", "given")),
    ]
    if account.profile and account.profile.get("skipped_rows"):
        data.append(("rows left out (not finite)", f"{account.profile['skipped_rows']:,}"))
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    settings = [
        (name, "none" if value is None else value)
        for name, value in account.configuration.items()
        if not isinstance(value, list | dict)
        and not (account.criterion and name in ("components", "covariance"))
    ]
    return section(
        "What was fitted to what",
        facts([*data, ("versions", versions), ("run", account.where)]),
        f"<details open><summary>All settings</summary>{facts(settings, 'facts many')}</details>",
    )


def features(account: Account) -> str:
    """What the first pass found of each feature."""
    found = account.profile
    if not found or not found.get("mean"):
        return ""
    kinds = ("mean", "sd", "minimum", "maximum")
    shown = min(len(found["mean"]), MOST_LINES)
    lines = [(account.names[j], *(f"{found[kind][j]:.6g}" for kind in kinds)) for j in range(shown)]
    rest = len(found["mean"]) - shown
    note = f"… and {rest} more features" if rest else ""
    table = Table(("feature", *kinds), tuple(lines), frozenset({0}), note=note)
    return section("The data, feature by feature", table.html())


def resolved(values: Sequence[float], deviation: float) -> list[str]:
    """Numbers with as many digits as tell values of this standard deviation apart."""
    largest = max(map(abs, values))
    needed = ceil(log10(largest / deviation)) if deviation > 0 and largest > 0 else 0
    return [f"{value:.{min(max(needed + 4, 6), 16)}g}" for value in values]


def components(account: Account) -> str:
    """Weights, means ± sd, rows and conditioning of every component."""
    mixture = account.mixture
    if mixture is None:
        return ""
    tables = [
        components_table(
            mixture,
            account.names or None,
            features=range(first, min(first + ABREAST, mixture.features)),
            components=mixture.components,
            title=False,
        )
        for first in range(0, min(mixture.features, MOST_FEATURES), ABREAST)
    ]
    tables[0] = with_columns(tables[0], held(account))
    tables = [*(replace(table, note="") for table in tables[:-1]), tables[-1]]
    return section(
        "Components",
        paragraph(
            "Mean ± standard deviation in each feature. Σ r: the weight of all rows that belong to "
            "the component (responsibilities, summed). Condition: the largest eigenvalue of its "
            "covariance over the smallest, in units of the data's standard deviations.",
            "note",
        ),
        *(table.html() for table in tables),
    )


def with_columns(table: Table, columns: dict[str, list[str]]) -> Table:
    """More columns after the weight."""
    lines = zip(table.lines, *columns.values(), strict=True)
    return replace(
        table,
        headings=(*table.headings[:2], *columns, *table.headings[2:]),
        lines=tuple((*line[:2], *more, *line[2:]) for line, *more in lines),
    )


def held(account: Account) -> dict[str, list[str]]:
    """The rows and the conditioning of every component."""
    mixture, statistics = account.mixture, account.statistics
    columns: dict[str, list[str]] = {}
    if mixture is None:
        return columns
    if statistics is not None and len(statistics.counts) == mixture.components:
        columns["Σ r"] = [f"{count:,.1f}" for count in statistics.counts]
    columns["condition"] = [f"{condition:.3g}" for condition in conditions(mixture)]
    return columns


def conditions(mixture: Mixture) -> Array:
    """The condition number of every covariance, (K,), features in the data's own deviations."""
    deviations = np.sqrt(mixture.variance)
    scaled = mixture.matrices / (deviations[:, None] * deviations)
    values = np.linalg.eigvalsh(scaled)
    smallest = np.maximum(values[:, 0], np.finfo(np.float64).tiny)
    found: Array = values[:, -1] / smallest
    return found


def events(account: Account) -> str:
    """What happened to components on the way, and which kernels ran."""
    happened = [
        (str(entry["iteration"]), _named(event.get("component")), event["kind"], event["reason"])
        for entry in account.history
        for event in entry.get("events", ())
    ]
    rest = len(happened) - MOST_LINES
    table = Table(
        ("iteration", "component", "event", "what happened"),
        tuple(happened[:MOST_LINES]),
        frozenset({2, 3}),
        note=f"… and {rest} more" if rest > 0 else "",
    )
    kernels = dict.fromkeys(str(entry.get("kernel")) for entry in account.history)
    ran = f"Kernel: {', then '.join(kernels)}." if account.history else ""
    calm = "Nothing degenerated: no component starved or collapsed, the likelihood never fell."
    return section(
        "Conditioning and events",
        table.html() if happened else paragraph(calm),
        paragraph(f"{ran} {_conditioning(account)}", "note"),
    )


def _named(component: int | None) -> str:
    return "all" if component is None else str(component)


def _conditioning(account: Account) -> str:
    if account.mixture is None:
        return ""
    found = conditions(account.mixture)
    worst = int(found.argmax())
    digits = max(0, round(15.9 - log10(max(float(found[worst]), 1))))
    return (
        f"The worst conditioned covariance is that of component {worst}, {found[worst]:.2g}: about "
        f"{digits} of 16 digits are left in its inverse."
    )


def identities(account: Account) -> str:
    """Both sides of every textbook identity, on the sample."""
    mixture, sample = account.mixture, account.sample
    if mixture is None or sample is None:
        return ""
    cost = mixture.components * mixture.features**2
    rows = sample.rows[: max(200, CHECKED // cost)]
    given = sample.weights[: len(rows)]
    try:
        found = verify(mixture, rows, given)
        (statistics,) = sweep(rows, (mixture,), given)
        poor = maximise(statistics, mixture.family, Regularisation(reg_covar=0)).events
    except (ValueError, ArithmeticError) as problem:
        return section("Textbook identities", paragraph(f"They cannot be checked: {problem}"))
    marks = {True: "holds", False: "n/a" if poor else "FAILS"}
    lines = [
        (marks[i.holds], i.name, f"{i.left:.8g}", f"{i.right:.8g}", f"{i.error:.0e}", i.formula)
        for i in found
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
        paragraph(note, "note") if poor and not found.holds else "",
        Table(headings, tuple(lines), frozenset({0, 1, 5})).html(),
    )


def choices(account: Account) -> str:
    """A selection's candidates."""
    if not account.choices:
        return ""
    return choices_table(account.choices).html()


def time_spent(account: Account) -> str:
    """Where the time went, in one sentence."""
    if not account.history:
        return ""
    within, between = seconds(account.history)
    rows = sum(entry.get("rows") or 0 for entry in account.history)
    total = float(within.sum())
    rate = f", {rows / total / 1e6:.3g} million rows/s" if total > 0 else ""
    return paragraph(
        f"{_duration(total)} in passes over the data{rate}; {_duration(float(between.sum()))} "
        "between them (M-step, checkpoints, start of tasks)."
    )


def _duration(seconds_: float) -> str:
    if not isfinite(seconds_) or seconds_ < 120:
        return f"{seconds_:.3g} s"
    return f"{seconds_ / 60:.1f} min" if seconds_ < 7200 else f"{seconds_ / 3600:.1f} h"


def going_on(account: Account) -> str:
    """How to use the model, and how to go on."""
    load = (
        "from gmm_dask.store.model import load_model\n"
        f"mixture = load_model({account.model!r}).mixture\n"
        "labels = mixture.labels(rows)  # and log_density(rows), responsibilities(rows), …"
    )
    run, model = shlex.quote(account.where), shlex.quote(account.model)
    source = shlex.quote(account.address) if account.address else "SOURCE"
    commands = [f"gmm-dask show {run}"]
    if account.finished is None:
        commands.insert(
            0, f"gmm-dask watch {run}   # how far it is; the command that began it resumes"
        )
    else:
        commands.append(f"gmm-dask score {model} {source} --out scores.zarr")
    return section(
        "Using the model",
        code(load)
        if account.finished is not None
        else paragraph("The model is written when the run is finished. Then:") + code(load),
        code("\n".join(commands)),
    )


def footer(account: Account) -> str:
    """Which rows the pictures show."""
    if account.sample is None:
        return "No sample of rows is kept in this run: pictures show the mixture alone."
    return f"Pictures show a uniform sample of {len(account.sample.rows):,} rows."
