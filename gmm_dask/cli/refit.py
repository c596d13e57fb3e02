"""`gmm-dask refit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gmm_dask.cli import options, output
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.job import Job
from gmm_dask.settings.mixture import Configuration
from gmm_dask.settings.refit import RefitOptions
from gmm_dask.settings.rows import RowOptions

if TYPE_CHECKING:
    from gmm_dask.fitting.refitting.outcome import Refit

EXAMPLE = "gmm-dask refit rows.zarr --models models/rows -k 8 --margin 0.001"

BUT = ("source", "run", "performance_report", "overlap")

Source = typer.Argument(None, help="Path or URL of a Zarr array or group, or a .npy file.")


@options.takes(Job, RefitOptions, Configuration, RowOptions, ClusterOptions, but=BUT)
def refit(
    source: str | None = Source,
    config: options.Config = None,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Bring a model up to rows that were appended; promote it only if it is better.

    Nothing new: nothing is read, and nothing started. New rows are scored under the current
    version (how far have they drifted?), which is fitted on from where it is; old and new are
    compared on rows that no fit sees. Run it as often as you like; `gmm-dask models` shows what
    came of it, and rolls back.
    """
    from gmm_dask.cli import execution
    from gmm_dask.fitting.jobs import job_of

    tell(execution.refit(job_of(options.job_values(given, source=source), config)), json)


def tell(refitted: Refit, json: bool) -> None:
    """The decision, and where everything lies; drift alarms have been warned of."""
    from gmm_dask.cli.report import try_report
    from gmm_dask.models.versions import model_place

    values: dict[str, Any] = {
        **refitted.summary(),
        "model": model_place(refitted.models, refitted.version),
        "report": None if refitted.run is None else try_report(refitted.run),
    }
    if json:
        output.result_json(values)
        return
    if refitted.drift is not None:
        output.result(f"{refitted.new_rows:,} new rows: {refitted.drift.line()}")
    output.result(refitted.line())
    for name in ("models", "model", "report"):
        if values[name]:
            output.result(f"{name + ':':<8}{values[name]}")
