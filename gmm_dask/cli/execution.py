"""Runs of the command line: a job in its run folder, on its cluster, behind a display.

Whatever ends them, a person hears what is kept and how to go on.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import typer
from distributed import Client

from gmm_dask.cli import output
from gmm_dask.cli.outcome import INTERRUPTED, resumable
from gmm_dask.cli.progress import Display
from gmm_dask.cli.signals import Interrupted, leaving_word
from gmm_dask.clusters.connection import cluster_for
from gmm_dask.clusters.page import page_of
from gmm_dask.fitting.jobs import (
    OpenJob,
    fit_job,
    open_job,
    refit_job,
    select_job,
)
from gmm_dask.fitting.refitting.outcome import Refit
from gmm_dask.fitting.result import Fit
from gmm_dask.fitting.run_loop import Callback, Progress
from gmm_dask.fitting.selection import Selection
from gmm_dask.runs.documents import document_in
from gmm_dask.runs.layout import OVERLAP
from gmm_dask.runs.resumption import interrupted, kept_of_fit, kept_of_selection, no_answer
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.job import Job
from gmm_dask.settings.select import SelectOptions
from gmm_dask.store.errors import RunDiffersError

logger = logging.getLogger("gmm_dask")

T = TypeVar("T")
CarryOut = Callable[[OpenJob, Client | None, Callback], T]


@dataclass(frozen=True)
class Done:
    """A finished run; not fresh if it was finished before."""

    run: str
    fit: Fit
    fresh: bool


def fit(job: Job, *, restart: bool) -> Done:
    """Fit, or go on."""
    opened = open_job(job)
    mixture, rows = job.mixture, opened.rows.describe()
    logger.info("fitting %d %s components to %s", mixture.components, mixture.covariance, rows)

    def carry_out(placed: OpenJob, client: Client | None, tell: Callback) -> Done:
        fresh = False

        def note(progress: Progress) -> None:
            nonlocal fresh
            fresh = True
            tell(progress)

        before = document_in(placed.run, OVERLAP)
        made = fit_job(placed, client, restart=restart, callbacks=[note])
        known = before is None and made.overlap is not None
        return Done(placed.run, made, fresh or known)

    return in_run_folder(opened, "", kept_of_fit, carry_out, tol=mixture.tol)


def select(job: Job, compared: SelectOptions, *, restart: bool) -> tuple[str, Selection]:
    """Fit all that is compared, or go on; the run folder and the table."""
    opened = open_job(job)
    logger.info("comparing %d mixtures of %s", len(compared), opened.rows.describe())

    def carry_out(placed: OpenJob, client: Client | None, tell: Callback) -> tuple[str, Selection]:
        made = select_job(placed, compared, client, restart=restart, callbacks=[tell])
        return placed.run, made

    return in_run_folder(opened, "-select", kept_of_selection, carry_out)


def refit(job: Job) -> Refit:
    """Refit, or go on; a cluster is reached only if there is something to do."""
    if job.models is None:
        raise ConfigurationError("give --models, the folder of the model's versions: models/<name>")
    kept = f"{job.models} is as it was, and the same command goes on from the newest checkpoint"
    with (
        told_how_to_go_on(lambda: kept, kept),
        Display(most=job.mixture.max_iter, tol=job.mixture.tol) as display,
    ):
        return refit_job(
            job, lambda rows: cluster_for(job.cluster, rows.nbytes), callbacks=[display.tell]
        )


def in_run_folder(
    opened: OpenJob,
    what: str,
    kept: Callable[[str], str],
    carry_out: CarryOut[T],
    **shown: Any,
) -> T:
    """Carry it out on a cluster, in the run folder that was asked for, or in the first of today's
    in which nothing else was begun."""
    job = opened.job
    with cluster_for(job.cluster, opened.rows.nbytes) as client:
        dashboard = None if client is None else page_of(client)
        for run in [job.run] if job.run is not None else default_runs(job.source, what):
            logger.info("run folder: %s", run)
            with (
                told_how_to_go_on(partial(kept, run), no_answer(run)),
                Display(most=job.mixture.max_iter, dashboard=dashboard, **shown) as display,
            ):
                try:
                    return carry_out(opened.at(run), client, display.tell)
                except RunDiffersError:
                    if job.run is not None:
                        raise
    raise AssertionError("there is always another name")


@contextmanager
def told_how_to_go_on(kept: Callable[[], str], otherwise: str) -> Iterator[None]:
    """Whatever ends what is inside: what is kept, or `otherwise` where that does not answer."""
    with leaving_word(lambda: interrupted(kept()), interrupted(otherwise)):
        try:
            with resumable(kept, otherwise):
                yield
        except Interrupted:
            output.error(interrupted(kept()))
            raise typer.Exit(INTERRUPTED) from None


def default_runs(source: str, what: str = "") -> Iterator[str]:
    """runs/<name of source><what>-<date>, then -2, … where that was begun otherwise."""
    stem = source.rstrip("/").rpartition("/")[2].partition(".")[0]
    name = re.sub(r"[^A-Za-z0-9_-]", "-", stem).lstrip("-_")[:40] or "run"
    first = f"{Path('runs').absolute()}/{name}{what}-{date.today().isoformat()}"
    yield first
    for number in count(2):
        yield f"{first}-{number}"
