"""`gmm-dask fit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gmm_dask.cli import options, output
from gmm_dask.cli.outcome import INTERRUPTED

if TYPE_CHECKING:
    from gmm_dask.cli.execution import Done

EXAMPLE = "gmm-dask fit rows.zarr -k 8 --covariance diag --workers 2 --out runs/rows"

Source = typer.Argument(None, help="Path or URL of a Zarr array or group, or a .npy file.")
Out = typer.Option(None, help="Run folder, path or URL (default runs/<name of source>-<date>).")


def fit(
    source: str | None = Source,
    components: options.Components = None,
    covariance: options.Covariance = None,
    out: str | None = Out,
    config: options.Config = None,
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
    performance_report: options.PerformanceReport = False,
    json: options.Json = False,
) -> None:
    """Fit a mixture; with the same run folder, go on where it was left.

    The run folder keeps config.toml, history.jsonl, checkpoints/, model.zarr and report.html.
    Ctrl-C or SIGTERM writes a checkpoint and ends within 15 s, with exit code 130.
    """
    given = options.nested(locals())
    given["mixture"] |= {"components": components, "covariance": covariance}
    from gmm_dask.cli import execution

    job = execution.job_of(given, config)
    try:
        done = execution.run(job, restart=restart)
    except execution.InterruptedRun as stopped:
        output.error(stopped.advice)
        raise typer.Exit(INTERRUPTED) from None
    tell(done, json)


def tell(done: Done, json: bool) -> None:
    """Where everything lies and how it went; the report is made last, and may fail."""
    from gmm_dask.cli.report import try_report
    from gmm_dask.mixture.summary import components_table
    from gmm_dask.runs.layout import model_place

    run, found = done.run, done.fit
    values: dict[str, Any] = {
        "run": run,
        "model": model_place(run),
        "report": try_report(run, fresh=done.fresh),
        "converged": found.converged,
        **found.summary(),
    }
    if json:
        output.result_json(values)
        return
    output.table(components_table(found.mixture, found.feature_names))
    output.result(
        f"{found.reason} after {found.iterations} iterations, {found.passes} passes over "
        f"{found.statistics.rows:,} rows; mean log-likelihood {found.mean_log_likelihood:.6f}, "
        f"BIC {found.bic:.1f}"
    )
    for name in ("run", "model", "report"):
        if values[name]:
            output.result(f"{name + ':':<8}{values[name]}")
