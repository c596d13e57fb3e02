"""`gmm-dask sample`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gmm_dask.cli import options, output
from gmm_dask.settings.cluster import ClusterOptions

EXAMPLE = "gmm-dask sample runs/rows --rows 100000 --out drawn.zarr"


@options.takes(ClusterOptions)
def sample(
    model: options.Model,
    out: Annotated[str, typer.Option(help="Zarr store to write: a path or URL.")],
    rows: Annotated[int, typer.Option(min=1, help="N, how many rows to draw.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bits.")] = 0,
    chunk_rows: options.ChunkRows = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Draw rows from a model, with the component that each came from, chunk by chunk."""
    from gmm_dask.cli.bar import counted
    from gmm_dask.clusters.connection import cluster_for
    from gmm_dask.data.synthetic import FromMixture, make, names_of
    from gmm_dask.runs.inspection import model_at

    stored = model_at(model)
    names = stored.feature_names or names_of(stored.mixture.features)
    asked = ClusterOptions(**options.given_of(ClusterOptions, given))
    with cluster_for(asked) as client, counted("rows drawn", rows) as tell:
        make(
            FromMixture(stored.mixture, names),
            out,
            rows,
            seed=seed,
            chunk_rows=chunk_rows,
            client=client,
            overwrite=overwrite,
            tell=tell,
        )
    if json:
        output.result_json({"out": out, "array": "rows", "rows": rows, "seed": seed})
    else:
        output.result(f"{out}: {rows:,} rows × {len(names)} features in the array rows")
