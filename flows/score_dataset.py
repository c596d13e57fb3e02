"""Write what a model says of every row: labels, probabilities, log densities, outliers.

python -m flows.score_dataset runs/blobs.zarr --model runs/blobs --out runs/blobs-scores.zarr
"""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State

from flows import commands, forms
from flows.assets import asset, made
from flows.credentials import credentials_of
from flows.defaults import over_defaults
from flows.display import library_heard, show, tag_run, tell_event, workers_heard
from flows.jobs import last_part, parameters
from flows.limits import place_on
from flows.news import all_told
from flows.retries import LASTING, LEFT, left_to_the_other, or_left, stop_if_it_keeps_crashing
from gmm_dask import Rows, score
from gmm_dask.clusters.connection import cluster_for
from gmm_dask.fitting.jobs import open_chosen
from gmm_dask.models.model import Model
from gmm_dask.runs.inspection import model_at
from gmm_dask.scoring.score import Scores
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.rows import RowOptions
from gmm_dask.store.addresses import absolute

ModelPlace = Annotated[
    forms.Place, forms.asked("Model", "A model, or the run folder that holds one")
]
Out = Annotated[forms.Place, forms.asked("Out", "Zarr group to write: a path or URL")]


def run_name() -> str:
    """`scores of rows.zarr by runs/blobs`."""
    asked = parameters()
    return f"scores of {last_part(asked['source'])} by {last_part(asked['model'])}"


@flow(name="score-dataset", flow_run_name=run_name)
def score_dataset(
    source: forms.Source,
    model: ModelPlace,
    out: Out,
    scoring: forms.ScoreSection = forms.ScoreForm(),
    rows: forms.RowsSection = forms.RowsForm(),
    cluster: forms.ClusterSection = forms.ClusterForm(),
    credentials: forms.Credentials = None,
) -> dict[str, Any] | State:
    """Score all rows; started again, only blocks that are missing are written."""
    stop_if_it_keeps_crashing()
    source, model, out = absolute(source), absolute(model), absolute(out)
    options = ClusterOptions(**over_defaults(cluster).given())
    scoring, rows = over_defaults(scoring), over_defaults(rows)
    with library_heard(), all_told(), credentials_of(credentials):
        stored, opened = check(source, model, rows)
        scores = score_missing(stored, opened, out, scoring, options)
        if isinstance(scores, LEFT):
            return left_to_the_other(scores)
        of = [asset(source), asset(model)]
        made(publish, asset(out), of, **scores.summary())(model, source, scores)
    return {"out": scores.where, "blocks_written": scores.blocks_written, **scores.summary()}


@task(**LASTING)
def check(source: str, model: str, rows: forms.RowsForm) -> tuple[Model, Rows]:
    """The model and the rows, before any cluster is started."""
    stored = model_at(model)
    opened, _, _ = open_chosen(source, RowOptions(**rows.given()))
    get_run_logger().info("scoring %s", opened.describe())
    tag_run("gmm-dask", "score")
    return stored, opened


@task(**LASTING)
@or_left
def score_missing(
    model: Model, rows: Rows, out: str, scoring: forms.ScoreForm, options: ClusterOptions
) -> Scores:
    """Write what is not written yet, on a cluster of this attempt."""
    reached = cluster_for(options, rows.nbytes)
    with place_on(options.scheduler), reached as client, workers_heard(client, out):
        return score(model, rows, out, client=client, **scoring.model_dump())


def publish(model: str, source: str, scores: Scores) -> None:
    """Shares of the components as a table, the rest as markdown, and an event."""
    shares = [{"component": k, "share": share} for k, share in enumerate(scores.shares)]
    where, about = scores.where, f"Of {source} by {model}, in {scores.where}"
    show(create_table_artifact, "shares", where, about, table=shares)
    show(
        create_markdown_artifact,
        "scores",
        where,
        about,
        markdown=markdown_of(model, source, scores),
    )
    tell_event("gmm_dask.scores.finished", f"scores.{where}", **scores.summary())


def markdown_of(model: str, source: str, scores: Scores) -> str:
    """What was written, for a person."""
    outliers = (
        f"{scores.outliers:,} outliers: log density below {scores.outlier_threshold:.6g}. "
        if scores.outliers is not None
        else ""
    )
    skipped = f"{scores.skipped:,} rows are not finite. " if scores.skipped else ""
    return (
        f"# Scores of `{last_part(source)}`\n\n{', '.join(scores.arrays)} of {scores.rows:,} rows, "
        f"mean log density {scores.mean_log_density:.6g}. {outliers}{skipped}\n\n"
        f"| | |\n|---|---|\n| source | `{source}` |\n| model | `{model}` |\n"
        f"| scores | `{scores.where}` |\n"
    )


def main() -> None:
    """The command line: the fields that a first scoring needs."""
    parser = commands.parser(__doc__, runs=False)
    parser.add_argument("--model", required=True, help="a model, or a run folder")
    parser.add_argument("--out", required=True, help="Zarr group to write")
    parser.add_argument("--quantile", type=float, help="share of rows that are outliers")
    commands.tell(score_dataset(**commands.given(parser, scoring=("quantile",))))


if __name__ == "__main__":
    main()
