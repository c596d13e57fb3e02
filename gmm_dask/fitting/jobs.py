"""From a job to what comes of it: its rows opened once, a plan, passes on a cluster, a result.

The one hallway: command line and flows both walk it, and each only decides how to tell of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from distributed import Client

from gmm_dask.chunked.rows import Rows, open_rows
from gmm_dask.chunked.sources import open_column
from gmm_dask.chunked.sources.opening import OpenSource, only_table, open_source
from gmm_dask.chunked.sources.zarr_source import as_stored
from gmm_dask.fitting.journal import Rhythm
from gmm_dask.fitting.overlapping import with_overlap
from gmm_dask.fitting.refitting.outcome import Refit
from gmm_dask.fitting.refitting.refit import Reached, Request, refit_as
from gmm_dask.fitting.result import Fit
from gmm_dask.fitting.run_loop import Callback, Conduct, Progress, carry_out
from gmm_dask.fitting.selection import Candidates, Selection, selected
from gmm_dask.fitting.starts import Starts
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.models.model import load_model
from gmm_dask.runs.configuration import load_values
from gmm_dask.scoring.features import check_features
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.job import Job, job_from
from gmm_dask.settings.rows import RowOptions
from gmm_dask.settings.select import SelectOptions
from gmm_dask.store.addresses import absolute


@dataclass(frozen=True, eq=False)
class OpenJob:
    """A job whose rows are open: all that follows reads these."""

    job: Job
    source: OpenSource
    rows: Rows

    @property
    def run(self) -> str:
        """Its run folder, which is known by now."""
        return str(self.job.run)

    def at(self, run: str) -> OpenJob:
        """The same in another run folder."""
        return replace(self, job=replace(self.job, run=run))


def job_of(given: Mapping[str, Any], config: str | None = None) -> Job:
    """The job of a configuration file with the given values over it; None is not given.

    A cluster that is given takes the place of the one in the file as a whole. Nothing is looked at
    yet.
    """
    cluster = without_none(given.get("cluster", {}))
    values = {} if config is None else load_values(config, own_cluster=bool(cluster))
    for key, value in given.items():
        if isinstance(value, Mapping):
            values[key] = {**values.get(key, {}), **without_none(value)}
        elif value is not None:
            values[key] = value
    if cluster:
        values["cluster"] = cluster
    job = job_from(values)
    run, models = (None if one is None else absolute(one) for one in (job.run, job.models))
    return replace(job, source=absolute(job.source), run=run, models=models)


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was given at all."""
    return {name: value for name, value in values.items() if value is not None}


def open_job(job: Job) -> OpenJob:
    """The rows, so far as to know what they are, and that they are enough; of a group that has only
    one table, the job is on that table."""
    rows, source, options = open_chosen(job.source, job.rows)
    if job.start is None:
        job.mixture.check_drawn()
        job.mixture.check_rows(rows.shape[0])
    return OpenJob(replace(job, rows=options), source, rows)


def open_chosen(address: str, options: RowOptions) -> tuple[Rows, OpenSource, RowOptions]:
    """Rows, their source, and the options, with the only table where none is named."""
    source = open_source(address)
    chosen = options if options.chooses else replace(options, array=only_table(source))
    return open_rows(source, **chosen.arguments()), source, chosen


def fit_job(
    opened: OpenJob,
    client: Client | None = None,
    *,
    restart: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Fit:
    """Carry it out; in a run folder that was begun before, it goes on there."""
    job = opened.job
    rows, labels = opened.rows, None
    if job.labels is not None:
        labels = as_stored(open_column(job.labels, opened.source, rows.cells))
    plan = Starts.of(job.mixture, initial_of(job, rows), labels)
    plan.check(rows)
    heard = [configuration_kept(job), *callbacks]
    found = carry_out(plan, rows, conduct_of(job, client, restart, heard))[1]
    return with_overlap(found, rows, client, job.cache, job.run) if job.overlap else found


def configuration_kept(job: Job) -> Callback:
    """Keeps what was asked in the run folder, from which the run can be resumed and done again.

    Not before the first iteration: until then it may be another driver's.
    """
    kept = False

    def keep(progress: Progress) -> None:
        nonlocal kept
        if progress.run is not None and not kept:
            progress.run.keep_configuration(job.as_toml())
            kept = True

    return keep


def select_job(
    opened: OpenJob,
    asked: SelectOptions,
    client: Client | None = None,
    *,
    restart: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Selection:
    """Fit all that is compared in the same passes, or go on in the run folder."""
    job = opened.job
    if job.start is not None:
        raise ConfigurationError("select draws its starts: init must name a way to draw them")
    plan = Candidates.of(job.mixture, asked)
    return selected(plan, opened.rows, conduct_of(job, client, restart, callbacks))


def refit_job(
    job: Job,
    cluster: Reached | None = None,
    *,
    callbacks: Sequence[Callback] = (),
) -> Refit:
    """Bring the models in their folder up to the rows, if there is anything new; only then, a
    cluster is reached."""
    if job.models is None:
        raise ConfigurationError("models is missing: give the folder where versions are kept")
    labels = job.labels
    return refit_as(
        Request(
            source=job.source,
            models=job.models,
            configuration=job.mixture,
            options=job.refit,
            initial=initial_of(job),
            labels=None if labels is None else lambda: open_column(labels, job.source),
            cluster=cluster,
            conduct=conduct_of(job, callbacks=callbacks),
            open=lambda: open_job(job).rows,
        )
    )


def conduct_of(
    job: Job,
    client: Client | None = None,
    restart: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Conduct:
    """How a job is carried out."""
    return Conduct(
        client,
        job.cache,
        job.run,
        restart,
        Rhythm(job.checkpoint_every),
        callbacks,
        job.performance_report,
    )


def initial_of(job: Job, rows: Rows | None = None) -> Mixture | None:
    """The mixture to begin from, of the features of these rows where both have names for them."""
    if job.initial is None:
        return None
    model = load_model(job.initial)
    if rows is not None:
        check_features(
            rows.source.address, rows.feature_names, model.mixture.features, model.feature_names
        )
    return model.mixture
