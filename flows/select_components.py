"""Compare mixtures of many numbers of components and families, in the same passes over the data.

python -m flows.select_components runs/blobs.zarr --components 1:10 --covariance full diag
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

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
from gmm_dask.clusters.connection import cluster_for
from gmm_dask.fitting.jobs import OpenJob, open_job, select_job
from gmm_dask.fitting.selection import Selection
from gmm_dask.report import write_report
from gmm_dask.runs.layout import model_place
from gmm_dask.settings.job import Job
from gmm_dask.settings.select import SelectOptions


def run_name() -> str:
    """`1:12 components of rows.zarr, by bic`."""
    asked = parameters()
    criterion = asked.get("criterion", "bic")
    return f"{asked['components']} components of {last_part(asked['source'])}, by {criterion}"


@flow(name="select-components", flow_run_name=run_name)
def select_components(
    source: forms.Source,
    components: forms.Components,
    covariance: forms.Families = ("full",),
    criterion: forms.Criterion = "bic",
    drop: forms.Drop = True,
    run: forms.Run = None,
    mixture: forms.MethodSection = forms.MethodForm(),
    rows: forms.RowsSection = forms.RowsForm(),
    cluster: forms.ClusterSection = forms.ClusterForm(),
    cache: forms.Cache = "auto",
    checkpoint_every: forms.CheckpointEvery = 1,
    credentials: forms.Credentials = None,
) -> dict[str, Any] | State:
    """Fit every candidate in the same passes, or go on; the best becomes the model of the run."""
    stop_if_it_keeps_crashing()
    compared = SelectOptions(components, tuple(covariance), criterion, drop)
    first = forms.MixtureForm.model_validate({"components": compared.numbers[0], **mixture.given()})
    asked = job_asked(
        source, run, cache, checkpoint_every, mixture=first, rows=rows, cluster=cluster
    )
    with library_heard(), all_told(), credentials_of(credentials):
        opened = check(asked, compared)
        selection = fit_all_or_go_on(opened, compared)
        if isinstance(selection, LEFT):
            return left_to_the_other(selection)
        best = asdict(selection.table[0])
        run, source = opened.run, opened.job.source
        made(publish, asset(run), [asset(source)], **best)(opened, selection)
    return {"run": run, "model": model_place(run), **best}


@task(**LASTING)
def check(asked: Job, compared: SelectOptions) -> OpenJob:
    """Refuse what cannot be compared before any cluster is started; give the run its folder."""
    opened = with_run(open_job(asked), compared.identity())
    logger = get_run_logger()
    logger.info("comparing %d candidates of %s", len(compared), opened.rows.describe())
    logger.info("run folder: %s", opened.job.run)
    tag_run("gmm-dask", compared.criterion, *compared.covariance)
    return opened


@task(**LASTING)
@or_left
def fit_all_or_go_on(opened: OpenJob, compared: SelectOptions) -> Selection:
    """Go on from the newest checkpoint of the run, or begin it, on a cluster of this attempt."""
    job, run = opened.job, opened.run
    bar = Bar(run, f"The newest comparison of {len(compared)} candidates in {run}")
    bar.move(0.0)
    tell = iterations_told(bar, job.mixture.tol, job.mixture.max_iter)
    reached, scheduler = cluster_for(job.cluster, opened.rows.nbytes), job.cluster.scheduler
    with place_on(scheduler), reached as client, workers_heard(client, run):
        selection = select_job(opened, compared, client, callbacks=[tell])
    bar.finish()
    return selection


def publish(opened: OpenJob, selection: Selection) -> None:
    """The report in the run folder; the table, the curve and an event here."""
    source, run = opened.job.source, opened.run
    report = write_report(run)
    table = [asdict(choice) for choice in selection.table]
    about = f"What was compared on {source}, and lies in {run}"
    show(create_table_artifact, "candidates", run, about, table=table)
    show(
        create_markdown_artifact,
        "selection",
        run,
        about,
        markdown=markdown_of(opened, selection, report),
    )
    tell_event(
        "gmm_dask.selection.finished",
        f"run.{run}",
        source=source,
        model=model_place(run),
        criterion=selection.criterion,
        best=table[0],
    )


def markdown_of(opened: OpenJob, selection: Selection, report: str) -> str:
    """What was found, for a person."""
    job, run = opened.job, opened.run
    best = selection.table[0]
    curve = picture(
        lambda figure: plots.criterion_curve(selection, ax=figure.add_subplot(1, 1, 1)),
        7,
        3.4,
        f"{selection.criterion.upper()} against the number of components",
    )
    return (
        f"# Mixtures of `{last_part(job.source)}`\n\n**{best.components} {best.covariance} "
        f"components** have the smallest {selection.criterion.upper()} of {len(selection.table)} "
        f"candidates, fitted in {selection.passes} passes together.\n\n{curve}\n\n"
        f"| | |\n|---|---|\n| source | `{job.source}` |\n| run | `{run}` |\n"
        f"| model | `{model_place(run)}` |\n| report | `{report}` |\n"
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
