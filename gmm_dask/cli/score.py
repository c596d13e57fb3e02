"""`gmm-dask score`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gmm_dask.cli import options, output

EXAMPLE = "gmm-dask score runs/rows rows.zarr --out scores.zarr --quantile 0.01"

Write = Annotated[
    str,
    typer.Option(help="What to write: labels,probabilities,log_density,outlier."),
]
Top = Annotated[
    int | None, typer.Option(min=1, help="Only the M most probable components of each row.")
]
Quantile = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Share of rows, the least probable, that are outliers."),
]


def score(
    model: options.Model,
    source: options.Source,
    out: Annotated[str, typer.Option(help="Zarr group to write: a path or URL.")],
    write: Write = "labels,log_density",
    top: Top = None,
    quantile: Quantile = None,
    overwrite: options.Overwrite = False,
    array: options.Array = None,
    columns: options.Columns = None,
    features: options.Features = None,
    nonfinite: options.Nonfinite = None,
    missing_chunks: options.MissingChunks = None,
    scheduler: options.Scheduler = None,
    workers: options.Workers = None,
    threads: options.Threads = None,
    memory_limit: options.MemoryLimit = None,
    json: options.Json = False,
) -> None:
    """Write what a model says of every row; started again, only what is missing is written."""
    from gmm_dask.cli.inputs import outliers_asked, rows_at
    from gmm_dask.cli.outcome import resumable
    from gmm_dask.clusters.connection import cluster_for
    from gmm_dask.fitting.job import ClusterOptions
    from gmm_dask.runs.inspection import model_at
    from gmm_dask.scoring.score import score as write_scores

    found = model_at(model)
    rows = rows_at(source, options.rows_given(locals()))
    names, share = outliers_asked(options.names(write) or (), quantile)
    asked = ClusterOptions(scheduler, workers, threads, memory_limit)
    again = f"the same command writes what is missing in {out}"
    with resumable(lambda: again, again), cluster_for(asked, rows.nbytes) as client:
        scores = write_scores(
            found,
            rows,
            out,
            write=names,
            top=top,
            quantile=share,
            client=client,
            overwrite=overwrite,
        )
    tell(scores, json)


def tell(scores: Any, json: bool) -> None:
    """What was written."""
    told = {"out": scores.where, "blocks_written": scores.blocks_written, **scores.summary()}
    if json:
        output.result_json(told)
        return
    output.result(f"{scores.where}: {', '.join(scores.arrays)} of {scores.rows:,} rows")
    output.result(f"mean log density {scores.mean_log_density:.6f}")
    if scores.outliers is not None:
        below = f"log density below {scores.outlier_threshold:.6g}"
        output.result(f"{scores.outliers:,} outliers: {below}")
    if scores.skipped:
        output.result(f"{scores.skipped:,} rows that are not finite were left out")
    shares = ", ".join(f"{k}: {share:.1%}" for k, share in enumerate(scores.shares))
    output.result(f"share of each component: {shares}")
