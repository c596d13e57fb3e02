"""From options to a refit: its job, its folder of models, its cluster if one is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gmm_dask.cli import execution
from gmm_dask.cli.outcome import resumable
from gmm_dask.cli.progress import Display
from gmm_dask.cli.signals import Interrupted, leaving_word
from gmm_dask.clusters.connection import cluster_for
from gmm_dask.fitting.job import Job
from gmm_dask.fitting.refitting.outcome import Refit
from gmm_dask.settings.configuration import ConfigurationError


def job_of(given: Mapping[str, Any], config: str | None) -> Job:
    """The job of a configuration file with the given options over it, and its folder of models."""
    job = execution.job_of(given, config)
    if job.models is None:
        raise ConfigurationError("give --models, the folder of the model's versions: models/<name>")
    return replace(job, models=execution.absolute(job.models))


def run(job: Job) -> Refit:
    """Refit, or go on; a cluster is reached only if there is something to do."""
    kept = f"{job.models} is as it was, and the same command goes on from the newest checkpoint"
    told = f"interrupted; {kept}"
    with (
        leaving_word(lambda: told, told),
        resumable(lambda: kept, kept),
        Display(most=job.mixture.max_iter, tol=job.mixture.tol) as display,
    ):
        try:
            return job.bring_up_to_date(
                lambda: cluster_for(job.cluster, job.open().nbytes), callbacks=[display.tell]
            )
        except Interrupted:
            raise execution.InterruptedRun(told) from None
