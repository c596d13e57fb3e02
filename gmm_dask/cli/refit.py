"""`gmm-dask refit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gmm_dask.cli import options, output
from gmm_dask.cli.outcome import INTERRUPTED

if TYPE_CHECKING:
    from gmm_dask.fitting.refitting.outcome import Refit

EXAMPLE = "gmm-dask refit rows.zarr --models models/rows -k 8 --margin 0.001"

DECISION = "Decision"

Source = typer.Argument(None, help="Path or URL of a Zarr array or group, or a .npy file.")
Models = Annotated[
    str | None, typer.Option(help="Folder of the model's versions: models/<name>, path or URL.")
]
Margin = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Least gain in mean log density per held-back row (default 0.001).",
        rich_help_panel=DECISION,
    ),
]
HeldBack = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Share of rows that no fit sees, to compare on (default 0.1).",
        rich_help_panel=DECISION,
    ),
]
DriftAlarm = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Warn when the mean log density of new rows drops by more (default 0.5).",
        rich_help_panel=DECISION,
    ),
]
OutlierAlarm = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Warn when more of the new rows are outliers (default 0.05).",
        rich_help_panel=DECISION,
    ),
]
OutlierQuantile = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Outliers are rarer than this share of known rows (default 0.01).",
        rich_help_panel=DECISION,
    ),
]
Changed = Annotated[
    Literal["error", "refit"] | None,
    typer.Option(
        help="Earlier rows that are not what they were: an error, or fitted anew.",
        rich_help_panel=DECISION,
    ),
]
Keep = Annotated[
    int | None, typer.Option(min=1, help="Versions kept (default 10).", rich_help_panel=DECISION)
]


def refit(
    source: str | None = Source,
    models: Models = None,
    components: options.Components = None,
    covariance: options.Covariance = None,
    config: options.Config = None,
    margin: Margin = None,
    held_back: HeldBack = None,
    drift_alarm: DriftAlarm = None,
    outlier_quantile: OutlierQuantile = None,
    outlier_alarm: OutlierAlarm = None,
    changed: Changed = None,
    keep: Keep = None,
    array: options.Array = None,
    columns: options.Columns = None,
    features: options.Features = None,
    weights: options.Weights = None,
    nonfinite: options.Nonfinite = None,
    missing_chunks: options.MissingChunks = None,
    init: options.Init = None,
    n_init: options.Starts = None,
    seed: options.Seed = None,
    reg_covar: options.RegCovar = None,
    tol: options.Tol = None,
    max_iter: options.MaxIter = None,
    accelerate: options.Accelerate = None,
    checkpoint_every: options.CheckpointEvery = None,
    cache: options.Cache = None,
    scheduler: options.Scheduler = None,
    workers: options.Workers = None,
    threads: options.Threads = None,
    memory_limit: options.MemoryLimit = None,
    json: options.Json = False,
) -> None:
    """Bring a model up to rows that were appended; promote it only if it is better.

    Nothing new: nothing is read, and nothing started. New rows are scored under the current
    version (how far have they drifted?), which is fitted on from where it is; old and new are
    compared on rows that no fit sees. Run it as often as you like; `gmm-dask models` shows what
    came of it, and rolls back.
    """
    given = options.nested({"out": None, "performance_report": None, **locals()})
    given["mixture"] |= {"components": components, "covariance": covariance}
    deciding = ("margin", "held_back", "drift_alarm", "outlier_quantile", "outlier_alarm")
    told = locals()
    given["models"] = models
    given["refit"] = {name: told[name] for name in (*deciding, "changed", "keep")}
    from gmm_dask.cli import execution, refitting

    try:
        found = refitting.run(refitting.job_of(given, config))
    except execution.InterruptedRun as stopped:
        output.error(stopped.advice)
        raise typer.Exit(INTERRUPTED) from None
    tell(found, json)


def tell(found: Refit, json: bool) -> None:
    """The decision, and where everything lies; drift alarms have been warned of."""
    from gmm_dask.cli.report import try_report
    from gmm_dask.models.versions import model_place

    values: dict[str, Any] = {
        **found.summary(),
        "model": model_place(found.models, found.version),
        "report": None if found.run is None else try_report(found.run),
    }
    if json:
        output.result_json(values)
        return
    if found.drift is not None:
        output.result(f"{found.new_rows:,} new rows: {found.drift.line()}")
    output.result(found.line())
    for name in ("models", "model", "report"):
        if values[name]:
            output.result(f"{name + ':':<8}{values[name]}")
