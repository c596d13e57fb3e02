"""`gmm-dask data`: tables imported from files, and synthetic ones."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from gmm_dask.cli import options, output
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.imports import ImportOptions

IMPORT_EXAMPLE = "gmm-dask data import measurements.csv --out rows.zarr --nan skip"
MAKE_EXAMPLE = "gmm-dask data make blobs --rows 1000000 --features 8 --out blobs.zarr"

Kind = Literal["blobs", "overlapping", "rings", "faithful-like"]

app = typer.Typer(
    help="Import tables from files; make synthetic ones.",
    no_args_is_help=True,
    epilog=f"Example: {MAKE_EXAMPLE}",
)

Out = Annotated[str, typer.Option(help="Zarr store to write: a path or URL.")]


@app.command("make", epilog=f"Example: {MAKE_EXAMPLE}")
@options.takes(ClusterOptions)
def make(
    what: Annotated[Kind, typer.Argument(metavar="KIND", help="What to draw.")],
    out: Out,
    rows: Annotated[int, typer.Option(min=1, help="N.")] = 1_000_000,
    features: Annotated[int, typer.Option(min=1, help="D; faithful-like always has 2.")] = 8,
    components: Annotated[int, typer.Option(min=1, help="K; faithful-like always has 2.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bits.")] = 0,
    dtype: Annotated[Literal["float64", "float32"], typer.Option(help="Of the rows.")] = "float64",
    chunk_rows: options.ChunkRows = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Draw rows, with their true labels and parameters beside them, chunk by chunk.

    OUT gets the arrays rows and labels, and truth, which is a model where there is one. Drawn on
    a cluster if one is asked for, else in this process, with the same bits.
    """
    from gmm_dask.cli.bar import counted
    from gmm_dask.clusters.connection import cluster_for
    from gmm_dask.data.synthetic import make as write
    from gmm_dask.data.synthetic import recipe_named

    recipe = recipe_named(what, features, components, seed)
    asked = ClusterOptions(**options.given_of(ClusterOptions, given))
    with cluster_for(asked) as client, counted("rows drawn", rows) as tell:
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
    values = {
        "out": out,
        "array": "rows",
        "rows": rows,
        "features": len(recipe.names),
        "seed": seed,
    }
    if json:
        output.result_json(values)
    else:
        output.result(f"{out}: {rows:,} rows × {len(recipe.names)} features in the array rows")


@app.command("import", epilog=f"Example: {IMPORT_EXAMPLE}")
@options.takes(ImportOptions, but=("overwrite",))
def import_(
    files: Annotated[
        list[str], typer.Argument(help="CSV, TSV, npy, npz or Parquet, one after the other.")
    ],
    out: Out,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Stream tables of any size from files into a Zarr array that keeps their column names."""
    from gmm_dask.cli.bar import counted
    from gmm_dask.data import import_files

    with counted("rows imported", None) as tell:
        asked = ImportOptions(**options.given_of(ImportOptions, given), overwrite=overwrite)
        imported = import_files(files, out, tell=tell, **vars(asked))
    values = {
        "out": out,
        "rows": imported.rows,
        "skipped": imported.skipped,
        "dtype": imported.dtype,
    }
    if json:
        output.result_json({**values, "feature_names": list(imported.feature_names)})
        return
    left_out = f" ({imported.skipped:,} rows left out)" if imported.skipped else ""
    output.result(
        f"{out}: {imported.rows:,} rows × {len(imported.feature_names)} {imported.dtype}{left_out}"
    )
    output.result(f"features: {', '.join(imported.feature_names)}")
