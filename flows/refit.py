"""Keep a model up with rows that are appended; nothing new is done in no time.

python -m flows.refit runs/blobs.zarr --components 8 --models models/blobs
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from distributed import Client
from prefect import flow, get_run_logger, task
from prefect.artifacts import Artifact, create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State

from flows import commands, forms
from flows.assets import asset, made
from flows.credentials import credentials_of
from flows.display import (
    Bar,
    iterations_told,
    key_of,
    library_heard,
    show,
    tag_run,
    tell_event,
    workers_heard,
)
from flows.jobs import job_asked, last_part, parameters, place_of
from flows.limits import place_on
from flows.news import all_told, unheard
from flows.retries import LASTING, LEFT, left_to_the_other, or_left, stop_if_it_keeps_crashing
from gmm_dask.chunked.rows import Rows
from gmm_dask.clusters.connection import cluster_for
from gmm_dask.fitting.jobs import refit_job
from gmm_dask.fitting.refitting.comparison import Drift
from gmm_dask.fitting.refitting.outcome import Refit
from gmm_dask.models.versions import Standing, look_at_versions, model_place
from gmm_dask.report import write_report
from gmm_dask.settings.job import Job

MODELS = "GMM_DASK_MODELS"
"""The environment variable that names the folder, or the bucket, of models without a place."""
AS_USUAL = forms.RefitForm()


def run_name() -> str:
    """`blobs from blobs.zarr`."""
    asked = parameters()
    return f"{last_part(asked['models'])} from {last_part(asked['source'])}"


@flow(name="refit", flow_run_name=run_name)
def refit(
    source: forms.Source,
    models: forms.Models,
    mixture: forms.MixtureSection,
    refit: forms.RefitSection = AS_USUAL,
    rows: forms.RowsSection = forms.RowsForm(),
    cluster: forms.ClusterSection = forms.ClusterForm(),
    cache: forms.Cache = "auto",
    checkpoint_every: forms.CheckpointEvery = 1,
    credentials: forms.Credentials = None,
) -> dict[str, Any] | State:
    """Look at the rows; if there are new ones, score them, fit on, compare, promote or not.

    A folder of models that another driver has in hand is left to it.
    """
    stop_if_it_keeps_crashing()
    asked = job_asked(
        source,
        None,
        cache,
        checkpoint_every,
        mixture=mixture,
        rows=rows,
        cluster=cluster,
        refit=refit,
    )
    with library_heard(), all_told(), credentials_of(credentials):
        job = replace(asked, models=models_at(models))
        tag_run("gmm-dask", "refit", last_part(str(job.models)))
        refitted = refit_or_go_on(job)
        if isinstance(refitted, LEFT):
            return left_to_the_other(refitted)
        get_run_logger().info(refitted.line())
        publish_news(job, refitted)
        tell_of(job, refitted)
    model = model_place(refitted.models, refitted.version)
    return {"decision": refitted.line(), "model": model, **refitted.summary()}


def models_at(models: str) -> str:
    """A path or URL as it is; a bare name is a folder under GMM_DASK_MODELS."""
    return place_of("models", models, os.environ.get(MODELS, "models"))


@task(**LASTING)
@or_left
def refit_or_go_on(job: Job) -> Refit:
    """Look, and go on from the newest checkpoint; only what has to be done starts a cluster."""
    bar = Bar(str(job.models), f"The newest refit of {job.models} to {job.source}")
    tell = iterations_told(bar, job.mixture.tol, job.mixture.max_iter)

    @contextmanager
    def reached(rows: Rows) -> Iterator[Client | None]:
        cluster, scheduler = cluster_for(job.cluster, rows.nbytes), job.cluster.scheduler
        with place_on(scheduler), cluster as client, workers_heard(client, str(job.models)):
            bar.move(0.0)
            yield client

    refitted = refit_job(job, reached, callbacks=[tell])
    bar.finish()
    return refitted


def publish_news(job: Job, refitted: Refit) -> None:
    """Where there are any: a promoted version is an asset made anew, and one that stays is not."""
    if refitted.outcome == "promoted":
        facts = refitted.summary()
        made(publish, asset(refitted.models, refitted.line()), [asset(job.source)], **facts)(
            job, refitted
        )
    elif refitted.outcome == "kept" or not is_shown(refitted.models):
        task(publish, **LASTING)(job, refitted)


def publish(job: Job, refitted: Refit) -> None:
    """Versions as a table, the decision as markdown."""
    report = None if refitted.run is None else write_report(refitted.run)
    models, about = refitted.models, f"What was decided last of {refitted.models}"
    table = history(look_at_versions(models) or Standing())
    show(create_table_artifact, "versions", models, newest_of(models), table=table)
    show(
        create_markdown_artifact,
        "refit",
        models,
        about,
        markdown=markdown_of(job, refitted, report),
    )


def is_shown(models: str) -> bool:
    """Whether the newest decision is on its page: not where a run has ended before it said so."""
    try:
        shown: Any = Artifact.get(key_of("versions", models))
    except Exception as problem:
        if not unheard(problem):
            raise
        return False
    return shown is not None and shown.description == newest_of(models)


def newest_of(models: str) -> str:
    """What the page of versions has to show."""
    decisions = (look_at_versions(models) or Standing()).decisions
    return f"All decisions of {models}" + (f", to {decisions[-1]['when']}" if decisions else "")


def tell_of(job: Job, refitted: Refit) -> None:
    """Events for who acts on them."""
    about = f"models.{refitted.models}"
    facts = {"source": job.source, "model": model_place(refitted.models, refitted.version)}
    if refitted.alarms:
        tell_event("gmm_dask.drift.alarm", about, **facts, **refitted.summary())
    if refitted.outcome != "nothing new":
        tell_event("gmm_dask.refit.finished", about, **facts, **refitted.summary())
    tell_event("gmm_dask.refit.looked", about, **facts)


def history(standing: Standing) -> list[dict[str, Any]]:
    """Every decision, newest first."""
    return [decision_row(one, standing) for one in reversed(standing.decisions)]


def decision_row(one: Mapping[str, Any], standing: Standing) -> dict[str, Any]:
    """One decision as a row of a table."""
    compared = one.get("comparison") or {}
    kept = one["version"] in standing.versions
    return {
        "when": one["when"],
        "decision": one["outcome"],
        "version": one["version"] if kept else f"{one['version']} (removed)",
        "rows": one.get("rows"),
        "new rows": one.get("new_rows"),
        "before": compared.get("before"),
        "after": compared.get("after"),
        "gain": compared.get("gain"),
        "drift": one.get("drop"),
        "alarms": len(one.get("alarms", ())),
    }


def markdown_of(job: Job, refitted: Refit, report: str | None) -> str:
    """What was new, what was found and what was decided, for a person."""
    places = {
        "source": job.source,
        "models": refitted.models,
        "model": model_place(refitted.models, refitted.version),
        "report": report,
    }
    rows = "".join(f"| {name} | `{place}` |\n" for name, place in places.items() if place)
    alarms = "".join(f"- **Drift alarm**: {alarm}\n" for alarm in refitted.alarms)
    drift = "" if refitted.drift is None else drift_table(refitted.drift)
    fresh = (
        f"{refitted.new_rows:,} new of {refitted.rows:,} rows"
        if refitted.new_rows
        else "No new rows"
    )
    fresh = f"{refitted.rows:,} rows" if refitted.news == "first" else fresh
    return (
        f"# `{last_part(refitted.models)}` {refitted.version}: {refitted.outcome}\n\n"
        f"{fresh}. {refitted.line()}.\n\n{alarms}\n{drift}\n| | |\n|---|---|\n{rows}"
    )


def drift_table(drift: Drift) -> str:
    """New rows beside what was expected of them."""
    lines = [
        ("mean log density", f"{drift.expected:.6g}", f"{drift.mean_log_density:.6g}"),
        ("outliers", f"{drift.outliers_expected:.2%}", f"{drift.outlier_share:.2%}"),
    ]
    shares = zip(drift.shares_expected, drift.shares, strict=True)
    lines += [
        (f"share of component {k}", f"{a:.2%}", f"{b:.2%}") for k, (a, b) in enumerate(shares)
    ]
    body = "".join(f"| {name} | {expected} | {seen} |\n" for name, expected, seen in lines)
    return f"## Drift\n\n| new rows | expected | found |\n|---|---|---|\n{body}"


def main() -> None:
    """The command line: a TOML file, or the few fields that a first model needs."""
    parser = commands.parser(__doc__, runs=False)
    parser.add_argument("--config", help="TOML file of a refit; what else is given goes over it")
    parser.add_argument("--models", help="folder of the model's versions")
    parser.add_argument("--components", "-k", type=int)
    commands.tell(refit(**commands.given(parser, mixture=("components",))))


if __name__ == "__main__":
    main()
