"""`gmm-dask show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gmm_dask.cli import options, speaking

if TYPE_CHECKING:
    from gmm_dask.inspection import Inspected

EXAMPLE = "gmm-dask show runs/rows"

What = typer.Argument(
    help="A run folder, finished or not, a model, or its versions.", metavar="RUN|MODEL"
)


def show(what: str = What, json: options.Json = False) -> None:
    """What was fitted to what, how it went, and the components as a table."""
    from gmm_dask.inspection import inspect

    found = inspect(what)
    if json:
        speaking.result_json(found.values())
        return
    for name, value in lines_of(found).items():
        speaking.result(f"{name:<20} {value}")
    if found.mixture is not None:
        from gmm_dask.mixture.table import components_table

        speaking.result(str(components_table(found.mixture, found.feature_names)))


def lines_of(found: Inspected) -> dict[str, str]:
    """What there is to say, in the order in which it is asked."""
    result = found.result
    told: dict[str, Any] = {
        found.kind: found.where,
        "data": found.data,
        "state": found.state,
        "mixture": found.described(),
        "seed": found.configuration.get("seed"),
        "start": found.start(),
        "mean log-likelihood": _number(result.get("mean_log_likelihood"), "{:.6f}"),
        "BIC": _number(result.get("bic"), "{:.1f}"),
        "AIC": _number(result.get("aic"), "{:.1f}"),
        "ICL": _number(result.get("icl"), "{:.1f}"),
        "passes": result.get("passes"),
        "seconds": _number(found.seconds, "{:.2f}"),
        "events": "; ".join(found.events),
        "versions": ", ".join(f"{name} {v}" for name, v in found.versions.items()),
    }
    return {name: str(value) for name, value in told.items() if value not in (None, "")}


def _number(value: float | None, form: str) -> str | None:
    return None if value is None else form.format(value)
