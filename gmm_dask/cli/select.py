"""`gmm-dask select`."""

from __future__ import annotations

import logging
from dataclasses import asdict
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmm_dask.cli import options, output
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.job import Job
from gmm_dask.settings.mixture import Configuration
from gmm_dask.settings.rows import RowOptions
from gmm_dask.settings.select import SelectOptions

if TYPE_CHECKING:
    from gmm_dask.fitting.selection import Selection

logger = logging.getLogger("gmm_dask")

EXAMPLE = "gmm-dask select rows.zarr -k 1:12 --covariance full --covariance diag"

BUT = ("source", "run", "models", "performance_report", "overlap")

Out = Annotated[
    str | None, typer.Option(help="Run folder (default runs/<name of source>-select-<date>).")
]


@options.takes(SelectOptions, Configuration, RowOptions, ClusterOptions, Job, but=BUT)
def select(
    source: options.Source,
    out: Out = None,
    restart: options.Restart = False,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Fit every number of components in every family, all in the same passes; the best wins.

    The run folder keeps checkpoints, the best model, the curve as selection.png and a report.
    """
    from gmm_dask.cli import execution
    from gmm_dask.fitting.jobs import job_of

    compared = SelectOptions(**options.given_of(SelectOptions, given))
    values = options.job_values(given, source=source, run=out)
    values["mixture"]["components"] = compared.numbers[0]
    values["mixture"]["covariance"] = compared.covariance[0]
    run, selection = execution.select(job_of(values), compared, restart=restart)
    tell(run, selection, json)


def tell(run: str, selection: Selection, json: bool) -> None:
    """The table, and where the best model and the picture are."""
    from gmm_dask.cli.report import try_report
    from gmm_dask.runs.layout import model_place

    values: dict[str, Any] = {
        "run": run,
        "model": model_place(run),
        "picture": picture(selection, run),
        "report": try_report(run),
        "criterion": selection.criterion,
        "passes": selection.passes,
        "best": asdict(selection.table[0]),
        "table": [asdict(choice) for choice in selection.table],
    }
    if json:
        output.result_json(values)
        return
    output.table(selection)
    for name in ("run", "model", "picture", "report"):
        if values[name]:
            output.result(f"{name + ':':<9}{values[name]}")


def picture(selection: Selection, run: str) -> str | None:
    """The curve, in the run folder; None, with a warning, where it cannot be drawn."""
    from gmm_dask.runs.documents import keep_document
    from gmm_dask.runs.layout import PICTURE

    try:
        import matplotlib

        matplotlib.use("Agg")
        from gmm_dask.plots import criterion_curve
    except ImportError:
        logger.warning("no picture: it needs matplotlib: pip install 'gmm-dask[report]'")
        return None
    drawn = BytesIO()
    criterion_curve(selection).figure.savefig(drawn, dpi=150, bbox_inches="tight")
    return keep_document(run, PICTURE, drawn.getvalue())
