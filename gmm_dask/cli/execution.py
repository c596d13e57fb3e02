"""From options to a finished run: the job, its rows, its cluster, its folder and its display."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from gmm_dask.cli.outcome import resumable
from gmm_dask.cli.progress import Display
from gmm_dask.cli.signals import Interrupted, leaving_word
from gmm_dask.clusters.connection import cluster_for
from gmm_dask.clusters.page import page_of
from gmm_dask.fitting.job import Job, job_from, load_values, with_only_table
from gmm_dask.fitting.result import Fit
from gmm_dask.fitting.run_loop import Callback, Progress
from gmm_dask.runs.resumption import interrupted, kept_of_fit, no_answer
from gmm_dask.store.addresses import is_url
from gmm_dask.store.errors import RunDiffersError

logger = logging.getLogger("gmm_dask")


class InterruptedRun(Exception):  # noqa: N818  nothing went wrong
    """A run that was asked to stop; what it had reached is kept."""

    def __init__(self, advice: str) -> None:
        super().__init__(advice)
        self.advice = advice


def job_of(given: Mapping[str, Any], config: str | None) -> Job:
    """The job of a configuration file with the given options over it; None is not given.

    Of a group that has only one table, it is on that table.
    """
    return with_only_table(job_given(given, config))


def job_given(given: Mapping[str, Any], config: str | None = None) -> Job:
    """The same from what was given alone: nothing is looked at yet."""
    own = bool(without_none(given.get("cluster", {})))
    values = {} if config is None else load_values(config, own_cluster=own)
    for key, value in given.items():
        if isinstance(value, dict):
            values[key] = {**values.get(key, {}), **without_none(value)}
        elif value is not None:
            values[key] = value
    _scheduler_or_local(values, given.get("cluster", {}))
    job = job_from(values)
    return replace(
        job,
        source=absolute(job.source),
        run=None if job.run is None else absolute(job.run),
    )


def _scheduler_or_local(values: dict[str, Any], given: Mapping[str, Any]) -> None:
    """A cluster on the command line takes the place of the one in the file as a whole."""
    chosen = without_none(given)
    if chosen:
        values["cluster"] = chosen


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was given at all."""
    return {name: value for name, value in values.items() if value is not None}


def absolute(address: str) -> str:
    """The same place from wherever it is asked for."""
    return address if is_url(address) else str(Path(address).expanduser().absolute())


@dataclass(frozen=True)
class Done:
    """A finished run; not fresh if it was finished before."""

    run: str
    fit: Fit
    fresh: bool


def run(job: Job, *, restart: bool) -> Done:
    """Fit, or go on."""
    rows = job.open()
    logger.info("fitting %d %s components to %s", *_what(job), rows.describe())
    with cluster_for(job.cluster, rows.nbytes) as client:
        for place in [job.run] if job.run is not None else default_runs(job.source):
            placed = replace(job, run=place)
            with (
                leaving_word(partial(_advice, str(place)), interrupted(no_answer(str(place)))),
                resumable(partial(kept_of_fit, str(place)), no_answer(str(place))),
                Display(
                    most=job.mixture.max_iter,
                    tol=job.mixture.tol,
                    dashboard=None if client is None else page_of(client),
                ) as display,
            ):
                try:
                    return _fit(placed, client, restart, display.tell)
                except RunDiffersError:
                    if job.run is not None:
                        raise
                except Interrupted:
                    raise InterruptedRun(_advice(str(place))) from None
    raise AssertionError("there is always another name")


def _what(job: Job) -> tuple[int, str]:
    return job.mixture.components, job.mixture.covariance


def _fit(job: Job, client: Any, restart: bool, tell: Callback) -> Done:
    logger.info("run folder: %s", job.run)
    fresh = False

    def note(progress: Progress) -> None:
        # Not before the run is ours: the folder's configuration is its driver's.
        nonlocal fresh
        if not fresh and progress.run is not None:
            progress.run.keep_configuration(job.as_toml())
            fresh = True
        tell(progress)

    found = job.fit(client, restart=restart, callbacks=[note])
    return Done(str(job.run), found, fresh)


def _advice(run: str) -> str:
    return interrupted(kept_of_fit(run))


def default_runs(source: str, what: str = "") -> Iterator[str]:
    """runs/<name of source><what>-<date>, then -2, … where that was begun otherwise."""
    stem = source.rstrip("/").rpartition("/")[2].partition(".")[0]
    name = re.sub(r"[^A-Za-z0-9_-]", "-", stem).lstrip("-_")[:40] or "run"
    first = f"{Path('runs').absolute()}/{name}{what}-{date.today().isoformat()}"
    yield first
    for number in count(2):
        yield f"{first}-{number}"
