"""`gmm-dask agreement`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gmm_dask.cli import options, output
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.rows import RowOptions

EXAMPLE = "gmm-dask agreement rows.zarr runs/rows runs/rows-other"

Models = Annotated[
    list[str], typer.Argument(help="Models, run folders or folders of versions: two or more.")
]
Labels = Annotated[
    str | None,
    typer.Option(help="Array of labels that are known, to compare too: a name or a path."),
]


@options.takes(RowOptions, ClusterOptions)
def agreement(
    source: options.Source,
    models: Models,
    labels: Labels = None,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Say how far models agree on the labels of all rows, every two of them, in one pass.

    Adjusted Rand index, Fowlkes–Mallows and others, from the table of both labels; `matched` is the
    share of rows whose labels are the same once they are matched.
    """
    from gmm_dask.clusters.connection import cluster_for
    from gmm_dask.fitting.jobs import open_chosen
    from gmm_dask.runs.inspection import model_at
    from gmm_dask.scoring.agreement import agreements_over, known_labels

    stored = [model_at(model) for model in models]
    rows, opened, _ = open_chosen(source, RowOptions(**options.given_of(RowOptions, given)))
    known = None if labels is None else known_labels(labels, opened, rows)
    names = models if labels is None else [*models, labels]
    cluster = ClusterOptions(**options.given_of(ClusterOptions, given))
    with cluster_for(cluster, rows.nbytes) as client:
        found = agreements_over(stored, rows, known, client)
    if json:
        pairs = [{"one": names[i], "other": names[j], **one.values()} for (i, j), one in found]
        output.result_json({"data": rows.describe(), "pairs": pairs})
        return
    output.result(rows.describe())
    output.table(found.table(names))
