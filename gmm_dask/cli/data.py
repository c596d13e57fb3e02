"""`gmm-dask data`: tables imported from files, and synthetic ones."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from gmm_dask.cli import options, speaking
from gmm_dask.cli.signals import interruptible

MAKE_EXAMPLE = "gmm-dask data make blobs --rows 1000000 --features 8 --out blobs.zarr"

app = typer.Typer(
    help="Import tables from files; make synthetic ones.",
    no_args_is_help=True,
    epilog=f"Example: {MAKE_EXAMPLE}",
)

Out = Annotated[str, typer.Option(help="Zarr store to write: a path or URL.")]


@app.command("make", epilog=f"Example: {MAKE_EXAMPLE}")
def make(
    kind: Annotated[
        Literal["blobs", "rings", "faithful-like"], typer.Argument(help="What to draw.")
    ],
    out: Out,
    rows: Annotated[int, typer.Option(min=1, help="N.")] = 1_000_000,
    features: Annotated[int, typer.Option(min=1, help="D; faithful-like always has 2.")] = 8,
    components: Annotated[int, typer.Option(min=1, help="K; faithful-like always has 2.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bits.")] = 0,
    dtype: Annotated[Literal["float64", "float32"], typer.Option(help="Of the rows.")] = "float64",
    chunk_rows: options.ChunkRows = None,
    overwrite: options.Overwrite = False,
    scheduler: options.Scheduler = None,
    workers: options.Workers = None,
    threads: options.Threads = None,
    memory_limit: options.MemoryLimit = None,
    json: options.Json = False,
) -> None:
    """Draw rows, with their true labels and parameters beside them, chunk by chunk.

    OUT gets the arrays rows and labels, and truth, which is a model where there is one. Drawn on
    a cluster if one is asked for, else in this process, with the same bits.
    """
    from gmm_dask.cli.counting import counted
    from gmm_dask.clusters import cluster_for
    from gmm_dask.job import ClusterOptions
    from gmm_dask.synthetic import make as write
    from gmm_dask.synthetic import recipe_named

    recipe = recipe_named(kind, features, components, seed)
    asked = ClusterOptions(scheduler, workers, threads, memory_limit)
    with interruptible(), cluster_for(asked) as client, counted("rows drawn", rows) as tell:
        write(
            recipe,
            out,
            rows,
            seed=seed,
            dtype=dtype,
            chunk_rows=chunk_rows,
            client=client,
            overwrite=overwrite,
            tell=tell,
        )
    told = {"out": out, "array": "rows", "rows": rows, "features": len(recipe.names), "seed": seed}
    if json:
        speaking.result_json(told)
    else:
        speaking.result(f"{out}: {rows:,} rows × {len(recipe.names)} features in the array rows")
