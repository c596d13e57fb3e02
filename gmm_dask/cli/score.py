"""`gmm-dask score`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmm_dask.cli import options, output
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.rows import RowOptions
from gmm_dask.settings.scores import WRITABLE, ScoreRequest

if TYPE_CHECKING:
    from gmm_dask.models.model import Model
    from gmm_dask.scoring.score import HasMixture

EXAMPLE = "gmm-dask score runs/rows rows.zarr --out scores.zarr --quantile 0.01"

OUTLIER, OUTLIER_SHARE = "outlier", 0.01
"""What is written where outliers are asked for, and the share of rows where none is given."""

Write = Annotated[
    str,
    typer.Option(help="What to write: labels,probabilities,log_density,outlier."),
]

Rules = StrEnum("Rules", ["entropy", "misclassification"])
Clusters = Annotated[
    int | None,
    typer.Option(min=1, help="Labels of so many clusters of components; after `overlap`."),
]
By = Annotated[Rules, typer.Option(help="How clusters are merged.")]


@options.takes(ScoreRequest, RowOptions, ClusterOptions, but=("write", "overwrite", "weights"))
def score(
    model: options.Model,
    source: options.Source,
    out: Annotated[str, typer.Option(help="Zarr group to write: a path or URL.")],
    write: Write = "labels,log_density",
    clusters: Clusters = None,
    by: By = Rules.entropy,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Write what a model says of every row; started again, only what is missing is written."""
    from gmm_dask.cli.outcome import resumable
    from gmm_dask.clusters.connection import cluster_for
    from gmm_dask.fitting.jobs import open_chosen
    from gmm_dask.runs.inspection import model_at
    from gmm_dask.scoring.score import score as write_scores

    found = model_at(model)
    stored = found if clusters is None else merged(model, found, clusters, by.value)
    rows, _, _ = open_chosen(source, RowOptions(**options.given_of(RowOptions, given)))
    asked = wanted(options.names(write), {**options.given_of(ScoreRequest, given)}, overwrite)
    cluster = ClusterOptions(**options.given_of(ClusterOptions, given))
    again = f"the same command writes what is missing in {out}"
    with resumable(lambda: again, again), cluster_for(cluster, rows.nbytes) as client:
        scores = write_scores(stored, rows, out, client=client, **vars(asked))
    components = stored.mixture.components
    tell(scores, json, components, "component" if clusters is None else "cluster")


def merged(run: str, stored: Model, clusters: int, by: Any) -> HasMixture:
    """The model as so many clusters of components."""
    from gmm_dask.scoring.kept_overlap import load_overlap
    from gmm_dask.scoring.score import Named

    return Named(load_overlap(run).merged(clusters, by), stored.feature_names)


def wanted(names: tuple[str, ...], given: dict[str, Any], overwrite: bool) -> ScoreRequest:
    """What is asked for; `outlier` among the names is a wish for a quantile."""
    unknown = [name for name in names if name not in (*WRITABLE, OUTLIER)]
    if unknown:
        known = ", ".join((*WRITABLE, OUTLIER))
        raise ConfigurationError(f"--write {unknown[0]!r} is not known; choose of {known}")
    if OUTLIER in names and given.get("threshold") is None:
        given.setdefault("quantile", OUTLIER_SHARE)
    write = tuple(name for name in WRITABLE if name in names)
    return ScoreRequest(write=write, overwrite=overwrite, **given)


def tell(scores: Any, json: bool, components: int, what: str) -> None:
    """What was written; what comes after the components is noise."""
    values = {"out": scores.where, "blocks_written": scores.blocks_written, **scores.summary()}
    if json:
        output.result_json(values)
        return
    output.result(f"{scores.where}: {', '.join(scores.arrays)} of {scores.rows:,} rows")
    output.result(f"mean log density {scores.mean_log_density:.6f}")
    if scores.outliers is not None:
        below = f"log density below {scores.outlier_threshold:.6g}"
        output.result(f"{scores.outliers:,} outliers: {below}")
    if scores.skipped:
        output.result(f"{scores.skipped:,} rows that are not finite were left out")
    names = [*range(components), "noise"]
    shares = ", ".join(f"{k}: {share:.1%}" for k, share in zip(names, scores.shares, strict=False))
    output.result(f"share of each {what}: {shares}")
