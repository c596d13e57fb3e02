"""Compare mixtures of many numbers of components and families, in the same passes over the data.

python -m flows.select_components runs/blobs.zarr --components 1:10 --covariance full diag
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State

from flows import commands, forms
from flows.assets import asset, made
from flows.credentials import credentials_of
from flows.display import (
    Bar,
    iterations_told,
    library_heard,
    picture,
    show,
    tag_run,
    tell_event,
    workers_heard,
)
from flows.jobs import job_asked, last_part, parameters, with_run
from flows.limits import place_on
from flows.news import all_told
from flows.retries import LASTING, LEFT, left_to_the_other, or_left, stop_if_it_keeps_crashing
from gmm_dask import plots
from gmm_dask.cli.selection import Grid, numbers_of
from gmm_dask.clusters.connection import cluster_for
from gmm_dask.fitting.job import Job, with_only_table
from gmm_dask.fitting.selection import Selection
from gmm_dask.report import write_report
from gmm_dask.runs.layout import model_place

Components = Annotated[str, forms.asked("Components", "Numbers to compare: 1:12 or 2,4,8")]
Families = Annotated[tuple[forms.Family, ...], forms.asked("Covariances", "Families to compare")]
Criterion = Annotated[Literal["bic", "aic", "icl"], forms.asked("Criterion", "The smallest wins")]
Drop = Annotated[bool, forms.asked("Drop", "Give up candidates that cannot become the best")]


def run_name() -> str:
    """`1:12 components of rows.zarr, by bic`."""
    asked = parameters()
    criterion = asked.get("criterion", "bic")
    return f"{asked['components']} components of {last_part(asked['source'])}, by {criterion}"


@flow(name="select-components", flow_run_name=run_name)
def select_components(
    source: forms.Source,
    components: Components,
    covariance: Families = ("full",),
    criterion: Criterion = "bic",
    drop: Drop = True,
    run: forms.Run = None,
    mixture: forms.SettingsSection = forms.Settings(),
    rows: forms.RowsSection = forms.Rows(),
    cluster: forms.ClusterSection = forms.Cluster(),
    cache: forms.Cache = "auto",
    checkpoint_every: forms.CheckpointEvery = 1,
    credentials: forms.Credentials = None,
) -> dict[str, Any] | State:
    """Fit every candidate in the same passes, or go on; the best becomes the model of the run."""
    stop_if_it_keeps_crashing()
    grid = Grid(tuple(numbers_of(components)), tuple(covariance), criterion, drop)
    first = forms.Mixture(components=grid.numbers[0], **mixture.given())
    asked = job_asked(
        source, run, cache, checkpoint_every, mixture=first, rows=rows, cluster=cluster
    )
    with library_heard(), all_told(), credentials_of(credentials):
        job = check(asked, grid)
        found = fit_all_or_go_on(job, grid)
        if isinstance(found, LEFT):
            return left_to_the_other(found)
        best = asdict(found.table[0])
        made(publish, asset(job.run), [asset(job.source)], **best)(job, found)
    return {"run": job.run, "model": model_place(str(job.run)), **best}


@task(**LASTING)
def check(job: Job, grid: Grid) -> Job:
    """Refuse what cannot be compared before any cluster is started; give the run its folder."""
    job = with_only_table(job)
    rows = job.open()
    placed = with_run(job, rows, asdict(grid))
    logger = get_run_logger()
    logger.info("comparing %d candidates of %s", len(grid), rows.describe())
    logger.info("run folder: %s", placed.run)
    tag_run("gmm-dask", grid.criterion, *grid.families)
    return placed


@task(**LASTING)
@or_left
def fit_all_or_go_on(job: Job, grid: Grid) -> Selection:
    """Go on from the newest checkpoint of the run, or begin it, on a cluster of this attempt."""
    bar = Bar(job.run, f"The newest comparison of {len(grid)} candidates in {job.run}")
    bar.move(0.0)
    tell = iterations_told(bar, job.mixture.tol, job.mixture.max_iter)
    reached, scheduler = cluster_for(job.cluster, job.open().nbytes), job.cluster.scheduler
    with place_on(scheduler), reached as client, workers_heard(client, job.run):
        found = grid.fit(job, client, callbacks=[tell])
    bar.finish()
    return found


def publish(job: Job, found: Selection) -> None:
    """The report in the run folder; the table, the curve and an event here."""
    report = write_report(str(job.run))
    table = [asdict(choice) for choice in found.table]
    about = f"What was compared on {job.source}, and lies in {job.run}"
    show(create_table_artifact, "candidates", job.run, about, table=table)
    show(create_markdown_artifact, "selection", job.run, about, markdown=told(job, found, report))
    tell_event(
        "gmm_dask.selection.finished",
        f"run.{job.run}",
        source=job.source,
        model=model_place(str(job.run)),
        criterion=found.criterion,
        best=table[0],
    )


def told(job: Job, found: Selection, report: str) -> str:
    """What was found, for a person."""
    best = found.table[0]
    curve = picture(
        lambda figure: plots.criterion_curve(found, ax=figure.add_subplot(1, 1, 1)),
        7,
        3.4,
        f"{found.criterion.upper()} against the number of components",
    )
    return (
        f"# Mixtures of `{last_part(job.source)}`\n\n**{best.components} {best.covariance} "
        f"components** have the smallest {found.criterion.upper()} of {len(found.table)} "
        f"candidates, fitted in {found.passes} passes together.\n\n{curve}\n\n"
        f"| | |\n|---|---|\n| source | `{job.source}` |\n| run | `{job.run}` |\n"
        f"| model | `{model_place(str(job.run))}` |\n| report | `{report}` |\n"
    )


def main() -> None:
    """The command line: the fields that a first comparison needs."""
    parser = commands.parser(__doc__)
    parser.add_argument("--components", "-k", required=True, help="1:12 or 2,4,8")
    parser.add_argument("--covariance", nargs="+", help="families to compare")
    parser.add_argument("--criterion", choices=["bic", "aic", "icl"])
    commands.tell(select_components(**commands.given(parser)))


if __name__ == "__main__":
    main()
