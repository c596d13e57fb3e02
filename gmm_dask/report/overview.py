"""The report's frame in words: what was fitted to what, how far it is, and how to go on."""

from __future__ import annotations

import shlex
from math import isfinite
from typing import Any

import numpy as np

from gmm_dask.fitting.html_table import html_table
from gmm_dask.fitting.selection import choices_table
from gmm_dask.mixture.tables import Table
from gmm_dask.plots.passes import seconds
from gmm_dask.report.markup import code, facts, numbers, paragraph, section
from gmm_dask.report.reported_run import ReportedRun

MOST_LINES = 40


def title(run: ReportedRun) -> str:
    """What was fitted to what."""
    parts = (run.address or "rows in memory").rstrip("/").split("/")
    inside = len(parts) > 1 and "." in parts[-2]  # an array in a store: rows.zarr/x
    name = "/".join(parts[-2:] if inside else parts[-1:])
    if run.criterion:
        return f"A selection of Gaussian mixtures for {name}"
    settings = run.configuration
    count = settings.get("components", "?")
    return f"{count} {settings.get('covariance', '')} Gaussian{'s' * (count != 1)} for {name}"


def status(run: ReportedRun) -> str:
    """Finished, or how far it is."""
    last = run.history[-1] if run.history else None
    if run.finished is not None:
        return f"Finished: {str(run.finished.get('reason', '')).replace(': ', ', ')}."
    if last is None:
        return "Not finished: no iteration is done yet."
    return (
        f"Not finished: {last['iteration']} iterations and {last['passes']} passes are done, of at "
        f"most {run.configuration.get('max_iter', '?')} iterations; the last one changed the "
        f"mean log-likelihood by {_change(last)}. The same command goes on from here."
    )


def _change(entry: dict[str, Any]) -> str:
    return "an unknown amount" if entry.get("change") is None else f"{entry['change']:.2e}"


def result(run: ReportedRun) -> str:
    """The result in a few numbers."""
    statistics, mixture = run.statistics, run.mixture
    if statistics is None or mixture is None:
        return paragraph("No checkpoint of this run can be read, or none is written yet.", "warn")
    finished = run.finished or {}
    cards = [
        ("components", f"{mixture.components}" + " and noise" * (mixture.noise is not None)),
        ("mean log-likelihood per row", f"{statistics.mean_log_likelihood:.6f}"),
        ("rows", f"{statistics.rows:,}"),
        *(
            (name.upper(), f"{finished[name]:,.1f}")
            for name in ("bic", "aic", "icl")
            if name in finished
        ),
        ("iterations", f"{run.history[-1]['iteration']}" if run.history else "?"),
        ("passes over the data", f"{run.history[-1]['passes']}" if run.history else "?"),
    ]
    if run.history and "objective" in run.history[-1]:
        variational = run.configuration.get("method") == "variational"
        name = "bound of the evidence" if variational else "with the prior"
        cards.insert(2, (f"{name}, per row", f"{run.history[-1]['objective']:.6f}"))
    if statistics.weight != statistics.rows:
        cards.insert(3, ("total weight", f"{statistics.weight:,.6g}"))
    return numbers(cards)


def origin(run: ReportedRun) -> str:
    """Data, configuration and versions."""
    fingerprint, record = run.record.fingerprint, run.record
    shape = fingerprint.get("shape") or ("?", "?")
    weights = fingerprint.get("weights")
    data: list[tuple[str, object]] = [
        ("data", run.address or "in memory"),
        ("rows × features", " × ".join(f"{n:,}" if isinstance(n, int) else str(n) for n in shape)),
        ("stored as", np.dtype(fingerprint["dtype"]).name if "dtype" in fingerprint else "?"),
        ("weights", "none" if not weights else weights.get("address", "given")),
    ]
    if run.profile and run.profile.get("skipped_rows"):
        data.append(("rows left out (not finite)", f"{run.profile['skipped_rows']:,}"))
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    settings = [
        (name, "none" if value is None else value)
        for name, value in run.configuration.items()
        if not isinstance(value, list | dict)
        and not (run.criterion and name in ("components", "covariance"))
    ]
    return section(
        "What was fitted to what",
        facts([*data, ("versions", versions), ("run", run.where)]),
        f"<details open><summary>All settings</summary>{facts(settings, 'facts many')}</details>",
    )


def features(run: ReportedRun) -> str:
    """What the first pass found of each feature."""
    profile = run.profile
    if not profile or not profile.get("mean"):
        return ""
    kinds = ("mean", "sd", "minimum", "maximum")
    shown = min(len(profile["mean"]), MOST_LINES)
    lines = [(run.names[j], *(f"{profile[kind][j]:.6g}" for kind in kinds)) for j in range(shown)]
    rest = len(profile["mean"]) - shown
    note = f"… and {rest} more features" if rest else ""
    table = Table(("feature", *kinds), tuple(lines), frozenset({0}), note=note)
    return section("The data, feature by feature", html_table(table))


def choices(run: ReportedRun) -> str:
    """A selection's candidates."""
    if not run.choices:
        return ""
    return html_table(choices_table(run.choices))


def time_spent(run: ReportedRun) -> str:
    """Where the time went, in one sentence."""
    if not run.history:
        return ""
    within, between = seconds(run.history)
    rows = sum(entry.get("rows") or 0 for entry in run.history)
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


def going_on(run: ReportedRun) -> str:
    """How to use the model, and how to go on."""
    load = (
        "from gmm_dask.models.model import load_model\n"
        f"mixture = load_model({run.model!r}).mixture\n"
        "labels = mixture.labels(rows)  # and log_density(rows), responsibilities(rows), …"
    )
    where, model = shlex.quote(run.where), shlex.quote(run.model)
    source = shlex.quote(run.address) if run.address else "SOURCE"
    commands = [f"gmm-dask show {where}"]
    if run.finished is None:
        commands.insert(
            0, f"gmm-dask watch {where}   # how far it is; the command that began it resumes"
        )
    else:
        commands.append(f"gmm-dask score {model} {source} --out scores.zarr")
    return section(
        "Using the model",
        code(load)
        if run.finished is not None
        else paragraph("The model is written when the run is finished. Then:") + code(load),
        code("\n".join(commands)),
    )


def footer(run: ReportedRun) -> str:
    """Which rows the pictures show."""
    if run.sample is None:
        return "No sample of rows is kept in this run: pictures show the mixture alone."
    weights = run.sample.weights
    drawn = "a uniform sample" if (weights == weights[0]).all() else "a sample, drawn by weight,"
    return f"Pictures show {drawn} of {len(run.sample.rows):,} rows."
