"""`gmm-dask select`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gmm_dask.cli import options, output
from gmm_dask.cli.outcome import INTERRUPTED

if TYPE_CHECKING:
    from gmm_dask.fitting.selection import Selection

EXAMPLE = "gmm-dask select rows.zarr -k 1:12 --covariance full --covariance diag"

Numbers = Annotated[
    str, typer.Option("--components", "-k", help="Numbers of components: 1:12 (12 too), or 2,4,8.")
]
Families = Annotated[
    list[str],
    typer.Option(
        "--covariance",
        parser=options.family,
        metavar=options.FAMILIES,
        help="A family; may be given again.",
    ),
]
Out = Annotated[
    str | None, typer.Option(help="Run folder (default runs/<name of source>-select-<date>).")
]


def select(
    source: options.Source,
    components: Numbers,
    covariance: Families = ["full"],  # noqa: B006  typer takes lists only
    criterion: Annotated[Literal["bic", "aic", "icl"], typer.Option(help="What is best.")] = "bic",
    out: Out = None,
    drop: Annotated[
        bool, typer.Option(help="Drop candidates that can no longer become the best.")
    ] = True,
    restart: options.Restart = False,
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
    """Fit every number of components in every family, all in the same passes; the best wins.

    The run folder keeps checkpoints, the best model, the curve as selection.png and a report.
    """
    from gmm_dask.cli import execution, selection

    given = options.nested(locals())
    numbers = selection.numbers_of(components)
    given["mixture"]["components"] = numbers[0]
    given["mixture"]["covariance"] = covariance[0]
    job = execution.job_of(given, None)
    grid = selection.Grid(tuple(numbers), tuple(covariance), criterion, drop)
    try:
        run, found = selection.run(job, grid, restart=restart)
    except execution.InterruptedRun as stopped:
        output.error(stopped.advice)
        raise typer.Exit(INTERRUPTED) from None
    tell(run, found, json)


def tell(run: str, found: Selection, json: bool) -> None:
    """The table, and where the best model and the picture are."""
    from gmm_dask.cli.report import try_report
    from gmm_dask.cli.selection import picture
    from gmm_dask.runs.layout import model_place

    values: dict[str, Any] = {
        "run": run,
        "model": model_place(run),
        "picture": picture(found, run),
        "report": try_report(run),
        "criterion": found.criterion,
        "passes": found.passes,
        "best": asdict(found.table[0]),
        "table": [asdict(choice) for choice in found.table],
    }
    if json:
        output.result_json(values)
        return
    output.table(found)
    for name in ("run", "model", "picture", "report"):
        if values[name]:
            output.result(f"{name + ':':<9}{values[name]}")
