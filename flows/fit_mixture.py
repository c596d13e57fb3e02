"""Fit a Gaussian mixture to a Zarr store on a Dask cluster; started again, it resumes.

python -m flows.fit_mixture runs/blobs.zarr --components 8 --run runs/blobs
"""

from __future__ import annotations

from dataclasses import replace
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
from flows.jobs import field, job_asked, last_part, parameters, with_run
from flows.limits import place_on
from flows.news import all_told
from flows.retries import LASTING, LEFT, left_to_the_other, or_left, stop_if_it_keeps_crashing
from gmm_dask import Fit, plots
from gmm_dask.clusters.connection import cluster_for
from gmm_dask.fitting.jobs import OpenJob, fit_job, open_job
from gmm_dask.report import write_report
from gmm_dask.runs.layout import model_place
from gmm_dask.settings.job import Job

COLUMNS = ("iteration", "mean_log_likelihood", "change", "step", "components", "rows", "seconds")


def run_name() -> str:
    """`8 full components of rows.zarr`."""
    asked = parameters()
    mixture = asked["mixture"]
    family = field(mixture, "covariance") or "full"
    return f"{field(mixture, 'components')} {family} components of {last_part(asked['source'])}"


@flow(name="fit-mixture", flow_run_name=run_name)
def fit_mixture(
    source: forms.Source,
    mixture: forms.MixtureSection,
    run: forms.Run = None,
    rows: forms.RowsSection = forms.RowsForm(),
    cluster: forms.ClusterSection = forms.ClusterForm(),
    cache: forms.Cache = "auto",
    checkpoint_every: forms.CheckpointEvery = 1,
    performance_report: forms.PerformanceReport = False,
    overlap: forms.Overlap = False,
    credentials: forms.Credentials = None,
) -> dict[str, Any] | State:
    """Fit a Gaussian mixture: check, fit or go on from the newest checkpoint, publish.

    A finished run is left alone; a run that another driver has in hand is left to it.
    """
    stop_if_it_keeps_crashing()
    asked = job_asked(
        source, run, cache, checkpoint_every, mixture=mixture, rows=rows, cluster=cluster
    )
    asked = replace(asked, performance_report=performance_report, overlap=overlap)
    with library_heard(), all_told(), credentials_of(credentials):
        opened = check(asked)
        fit = fit_or_go_on(opened)
        if isinstance(fit, LEFT):
            return left_to_the_other(fit)
        run, facts = opened.run, fit.summary()
        report = made(publish, asset(run), [asset(opened.job.source)], **facts)(opened, fit)
    return {"run": run, "model": model_place(run), "report": report, **facts}


@task(**LASTING)
def check(asked: Job) -> OpenJob:
    """Refuse what cannot be fitted before any cluster is started; give the run its folder."""
    opened = with_run(open_job(asked))
    logger, mixture = get_run_logger(), asked.mixture
    logger.info("fitting %d components to %s", mixture.components, opened.rows.describe())
    logger.info("run folder: %s", opened.job.run)
    tag_run("gmm-dask", mixture.covariance, f"K={mixture.components}")
    return opened


@task(**LASTING)
@or_left
def fit_or_go_on(opened: OpenJob) -> Fit:
    """Go on from the newest checkpoint of the run, or begin it, on a cluster of this attempt."""
    job, run = opened.job, opened.run
    bar = Bar(run, f"The newest fit of {job.mixture.components} components in {run}")
    bar.move(0.0)
    tell = iterations_told(bar, job.mixture.tol, job.mixture.max_iter)
    reached, scheduler = cluster_for(job.cluster, opened.rows.nbytes), job.cluster.scheduler
    with place_on(scheduler), reached as client, workers_heard(client, run):
        fit = fit_job(opened, client, callbacks=[tell])
    bar.finish()
    return fit


def publish(opened: OpenJob, fit: Fit) -> str:
    """The report in the run folder; history, pictures and an event here."""
    source, run = opened.job.source, opened.run
    report = write_report(run)
    show(
        create_table_artifact,
        "history",
        run,
        f"The iterations of {run}",
        table=[{name: entry.get(name) for name in COLUMNS} for entry in fit.history],
    )
    about = f"What was found in {source}, and lies in {run}"
    page = markdown_of(opened, fit, report)
    show(create_markdown_artifact, "fit", run, about, markdown=page)
    tell_event(
        "gmm_dask.fit.finished",
        f"run.{run}",
        source=source,
        model=model_place(run),
        converged=fit.converged,
        **fit.summary(),
    )
    return report


def markdown_of(opened: OpenJob, fit: Fit, report: str) -> str:
    """What was found, for a person."""
    job, run = opened.job, opened.run
    curve = picture(
        lambda figure: [
            plots.convergence(fit.history, figure.add_subplot(1, 2, 1)),
            plots.changes(fit.history, job.mixture.tol, figure.add_subplot(1, 2, 2)),
        ],
        9,
        3,
        "Mean log-likelihood after each pass, and its changes",
    )
    return (
        f"# {job.mixture.components} {job.mixture.covariance} components of "
        f"`{last_part(job.source)}`\n\n"
        f"**{fit.reason}** after {fit.iterations} iterations, {fit.passes} passes over "
        f"{fit.statistics.rows:,} rows. Mean log-likelihood {fit.mean_log_likelihood:.6g}, "
        f"BIC {fit.bic:.6g}.\n\n{curve}\n\n"
        f"| | |\n|---|---|\n| source | `{job.source}` |\n| run | `{run}` |\n"
        f"| model | `{model_place(run)}` |\n| report | `{report}` |\n\n"
        f"```\n{fit.mixture}\n```\n"
    )


def main() -> None:
    """The command line: a TOML file, or the few fields that a first fit needs."""
    parser = commands.parser(__doc__)
    parser.add_argument("--components", "-k", type=int)
    parser.add_argument("--tol", type=float, help="least change of the mean log-likelihood")
    parser.add_argument("--max-iter", type=int, help="most iterations")
    given = commands.given(parser, mixture=("components", "tol", "max_iter"))
    result = fit_mixture(**given)
    commands.tell(result)


if __name__ == "__main__":
    main()
