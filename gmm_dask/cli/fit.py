"""`gmm-dask fit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gmm_dask.cli import options, output
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.job import Job
from gmm_dask.settings.mixture import Configuration
from gmm_dask.settings.rows import RowOptions

if TYPE_CHECKING:
    from gmm_dask.cli.execution import Done

EXAMPLE = "gmm-dask fit rows.zarr -k 8 --covariance diag --workers 2 --out runs/rows"

Source = typer.Argument(None, help="Path or URL of a Zarr array or group, or a .npy file.")
Out = typer.Option(None, help="Run folder, path or URL (default runs/<name of source>-<date>).")


@options.takes(Configuration, RowOptions, ClusterOptions, Job, but=("source", "run", "models"))
def fit(
    source: str | None = Source,
    out: str | None = Out,
    config: options.Config = None,
    restart: options.Restart = False,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Fit a mixture; with the same run folder, go on where it was left.

    The run folder keeps config.toml, history.jsonl, checkpoints/, model.zarr and report.html.
    Ctrl-C or SIGTERM writes a checkpoint and ends within 15 s, with exit code 130.
    """
    from gmm_dask.cli import execution
    from gmm_dask.fitting.jobs import job_of

    job = job_of(options.job_values(given, source=source, run=out), config)
    tell(execution.fit(job, restart=restart), json)


def tell(done: Done, json: bool) -> None:
    """Where everything lies and how it went; the report is made last, and may fail."""
    from gmm_dask.cli.report import try_report
    from gmm_dask.mixture.summary import components_table
    from gmm_dask.runs.layout import model_place

    run, fitted = done.run, done.fit
    values: dict[str, Any] = {
        "run": run,
        "model": model_place(run),
        "report": try_report(run, fresh=done.fresh),
        "converged": fitted.converged,
        **fitted.summary(),
    }
    if json:
        output.result_json(values)
        return
    output.table(components_table(fitted.mixture, fitted.feature_names))
    output.result(
        f"{fitted.reason} after {fitted.iterations} iterations, {fitted.passes} passes over "
        f"{fitted.statistics.rows:,} rows; mean log-likelihood {fitted.mean_log_likelihood:.6f}, "
        f"BIC {fitted.bic:.1f}"
    )
    for name in ("run", "model", "report"):
        if values[name]:
            output.result(f"{name + ':':<8}{values[name]}")
