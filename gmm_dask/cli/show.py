"""`gmm-dask show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmm_dask.cli import options, output

if TYPE_CHECKING:
    from gmm_dask.mixture.matching import Match
    from gmm_dask.runs.inspection import Inspection
    from gmm_dask.scoring.merging.tree import Rule

EXAMPLE = "gmm-dask show runs/rows"

What = typer.Argument(
    help="A run folder, finished or not, a model, or its versions.", metavar="RUN|MODEL"
)


Against = Annotated[
    str | None,
    typer.Option(
        help="Another run or model: components are matched, and how far they are apart is told. "
        "The truth of a store of `data make` is its member truth."
    ),
]


def show(what: str = What, against: Against = None, json: options.Json = False) -> None:
    """What was fitted to what, how it went, and the components as a table."""
    from gmm_dask.runs.inspection import inspect

    inspection = inspect(what)
    matches = () if against is None else matches_of(inspection, inspect(against))
    clusters = clusters_of(inspection)
    if json:
        comparison = {} if against is None else {"against": [vars(match) for match in matches]}
        suggested = {"clusters": clusters} if clusters else {}
        output.result_json(inspection.values() | suggested | comparison)
        return
    suggestions = ", ".join(f"{count} by {rule}" for rule, count in clusters.items())
    told = {"clusters suggested": suggestions} if clusters else {}
    for name, value in (lines_of(inspection) | told).items():
        output.result(f"{name:<20} {value}")
    if inspection.mixture is not None:
        from gmm_dask.mixture.summary import components_table

        output.table(components_table(inspection.mixture, inspection.feature_names))
    if matches:
        from gmm_dask.mixture.matching import matches_table

        output.table(matches_table(matches, f"Against {against}, components matched"))


def clusters_of(inspection: Inspection) -> dict[Rule, int]:
    """How many clusters of components each rule suggests, where the run has been asked."""
    from gmm_dask.scoring.kept_overlap import overlap_in

    if inspection.kind != "run" or inspection.mixture is None:
        return {}
    found = overlap_in(inspection.where, inspection.mixture)
    return {} if found is None else {rule: tree.suggested for rule, tree in found.trees.items()}


def matches_of(inspection: Inspection, other: Inspection) -> tuple[Match, ...]:
    """Components side by side; refused where there are none yet, or they are of other features."""
    from gmm_dask.mixture.matching import matched
    from gmm_dask.settings.errors import ConfigurationError

    if inspection.mixture is None or other.mixture is None:
        empty = other if inspection.mixture else inspection
        raise ConfigurationError(f"{empty.where} has no mixture to compare yet: {empty.state}")
    if inspection.feature_names and other.feature_names not in (None, inspection.feature_names):
        raise ConfigurationError(
            f"{other.where} has other features, or in another order, than {inspection.where}"
        )
    return matched(inspection.mixture, other.mixture)


def lines_of(inspection: Inspection) -> dict[str, str]:
    """What there is to say, in the order in which it is asked."""
    result = inspection.result
    values: dict[str, Any] = {
        inspection.kind: inspection.where,
        "data": inspection.data,
        "state": inspection.state,
        "mixture": inspection.described(),
        "seed": inspection.configuration.get("seed"),
        "start": inspection.start(),
        "mean log-likelihood": _number(result.get("mean_log_likelihood"), "{:.6f}"),
        "BIC": _number(result.get("bic"), "{:.1f}"),
        "AIC": _number(result.get("aic"), "{:.1f}"),
        "ICL": _number(result.get("icl"), "{:.1f}"),
        "passes": result.get("passes"),
        "seconds": _number(inspection.seconds, "{:.2f}"),
        "events": "; ".join(inspection.events),
        "report": inspection.report,
        "versions": ", ".join(f"{name} {v}" for name, v in inspection.versions.items()),
    }
    return {name: str(value) for name, value in values.items() if value not in (None, "")}


def _number(value: float | None, form: str) -> str | None:
    return None if value is None else form.format(value)
