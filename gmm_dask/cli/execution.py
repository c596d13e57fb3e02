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
from gmm_dask.clusters.connection import cluster_for, page_of
from gmm_dask.fitting.job import Job, job_from, load_values, with_only_table
from gmm_dask.fitting.result import Fit
from gmm_dask.fitting.run_loop import Callback, Progress
from gmm_dask.runs.checkpoint import complete_iterations
from gmm_dask.runs.folder import look_at_run
from gmm_dask.store.addresses import is_url
from gmm_dask.store.errors import RunDiffersError
from gmm_dask.store.location import open_folder

logger = logging.getLogger("gmm_dask")

CONFIG = "config.toml"


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
                leaving_word(partial(kept_advice, placed), silent_advice(str(place))),
                resumable(partial(kept_word, placed), silent_word(str(place))),
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
                    raise InterruptedRun(kept_advice(placed)) from None
    raise AssertionError("there is always another name")


def _what(job: Job) -> tuple[int, str]:
    return job.mixture.components, job.mixture.covariance


def _fit(job: Job, client: Any, restart: bool, tell: Callback) -> Done:
    logger.info("run folder: %s", job.run)
    fresh = False

    def note(progress: Progress) -> None:
        # Not before the run is ours: the folder's configuration is its driver's.
        nonlocal fresh
        if not fresh:
            keep_config(job)
            fresh = True
        tell(progress)

    found = job.fit(client, restart=restart, callbacks=[note])
    return Done(str(job.run), found, fresh)


def keep_config(job: Job) -> None:
    """config.toml in the run folder, from which the run can be resumed and done again."""
    open_folder(str(job.run)).replace(CONFIG, job.as_toml().encode())


def kept_advice(job: Job) -> str:
    """What an interrupted run has kept, and how to go on."""
    return f"interrupted; {kept_word(job)}"


def kept_word(job: Job) -> str:
    """What a run has kept, and how to go on."""
    kept = kept_iteration(str(job.run))
    if kept is None:
        return f"no checkpoint is kept yet; the same command begins again: {job.run}"
    config = kept_config(str(job.run))
    again = "the same command" if config is None else f"gmm-dask fit --config {config}"
    return f"a checkpoint of iteration {kept} is in {job.run}\nresume with: {again}"


def silent_advice(run: str) -> str:
    """What to say of an interrupted run whose folder does not answer."""
    return f"interrupted; {silent_word(run)}"


def silent_word(run: str) -> str:
    """How to go on with a run whose folder does not answer."""
    return f"{run} does not answer: the same command goes on from its last checkpoint"


def kept_config(run: str) -> str | None:
    """Where a run keeps what it was asked: fits of this command line do, others need not."""
    return f"{run.rstrip('/')}/{CONFIG}" if open_folder(run).exists(CONFIG) else None


def going_on(run: str) -> str:
    """How to go on with an unfinished run."""
    config = kept_config(run)
    if config is None:
        return "the command, flow or call that began it goes on with it"
    return f"`gmm-dask fit --config {config}` goes on with it"


def kept_iteration(run: str) -> int | None:
    """The newest complete checkpoint of a run."""
    folder = look_at_run(run)
    kept = [] if folder is None else complete_iterations(folder)
    return kept[-1] if kept else None


def default_runs(source: str, what: str = "") -> Iterator[str]:
    """runs/<name of source><what>-<date>, then -2, … where that was begun otherwise."""
    stem = source.rstrip("/").rpartition("/")[2].partition(".")[0]
    name = re.sub(r"[^A-Za-z0-9_-]", "-", stem).lstrip("-_")[:40] or "run"
    first = f"{Path('runs').absolute()}/{name}{what}-{date.today().isoformat()}"
    yield first
    for number in count(2):
        yield f"{first}-{number}"
