"""`gmm-dask overlap`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gmm_dask.cli import options, output
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.rows import RowOptions

if TYPE_CHECKING:
    from gmm_dask.chunked.rows import Rows
    from gmm_dask.scoring.merging.overlap import Overlap

EXAMPLE = "gmm-dask overlap runs/rows --workers 4"

Source = typer.Argument(None, help="Rows (default those that the run was fitted to).")


@options.takes(RowOptions, ClusterOptions)
def overlap(
    model: options.Model,
    source: str | None = Source,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Say which components share rows, and which to merge into how many clusters.

    Two rules merge them two by two: by the entropy of the clusters (clustCombi, Baudry et al.
    2010), and by the rows that would be taken for another cluster's (DEMP, Hennig 2010). Each merge
    is a pass over all rows, in which both trees grow. A run folder keeps what was found, for its
    report and for `gmm-dask score --clusters`.
    """
    from gmm_dask.clusters.connection import cluster_for
    from gmm_dask.runs.inspection import model_at
    from gmm_dask.scoring.overlap import overlap as overlap_of

    stored = model_at(model)
    rows = rows_of(model, source, options.given_of(RowOptions, given))
    cluster = ClusterOptions(**options.given_of(ClusterOptions, given))
    with cluster_for(cluster, rows.nbytes) as client:
        found = overlap_of(stored, rows, client=client)
    places = kept(model, found)
    if json:
        output.result_json({"model": model, "data": rows.describe(), **places, **found.summary()})
        return
    output.result(rows.describe())
    output.table(found)
    for name, place in places.items():
        output.result(f"{name + ':':<9}{place}")


def rows_of(model: str, source: str | None, given: dict[str, Any]) -> Rows:
    """Of the source, or those that the run was fitted to."""
    from gmm_dask.fitting.jobs import job_of, open_chosen
    from gmm_dask.runs.documents import document_in
    from gmm_dask.runs.layout import CONFIGURATION

    if source is not None:
        return open_chosen(source, RowOptions(**given))[0]
    if document_in(model, CONFIGURATION) is None:
        raise ConfigurationError(f"{model} does not say where its rows lie: give SOURCE")
    job = job_of({"rows": given}, config=model)
    return open_chosen(job.source, job.rows)[0]


def kept(model: str, found: Overlap) -> dict[str, str | None]:
    """Where it is kept and reported, if the model is that of a run."""
    from gmm_dask.cli.report import try_report
    from gmm_dask.runs.view import look_at_run
    from gmm_dask.scoring.kept_overlap import keep_overlap

    if look_at_run(model) is None:
        return {}
    place = keep_overlap(model, found)
    return {"overlap": place, "report": try_report(model)}
