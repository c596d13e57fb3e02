"""Keep a model up with its rows: look, score the new ones, fit on, compare, promote or not.

Started again after any end it goes on where it was: its fit has a run folder that is named after
what was asked, and what is asked changes only with a decision.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from distributed import Client

from gmm_dask.chunked.engines.protocol import Cache
from gmm_dask.chunked.metrics.definitions import FAILED
from gmm_dask.chunked.rows import Rows
from gmm_dask.chunked.sources import Source, open_column
from gmm_dask.chunked.sources.zarr_source import as_stored
from gmm_dask.fitting.events import note_refit
from gmm_dask.fitting.fit import opened
from gmm_dask.fitting.journal import EVERY_ITERATION, Rhythm
from gmm_dask.fitting.refitting.appending import once_written
from gmm_dask.fitting.refitting.outcome import Refit
from gmm_dask.fitting.refitting.survey import Survey, check_features, run_name, survey, warm_start
from gmm_dask.fitting.refitting.update import Update
from gmm_dask.fitting.run_loop import Callback, Conduct
from gmm_dask.fitting.starts import Starts
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.models.versions import (
    Standing,
    Version,
    load_version,
    look_at_versions,
    open_versions,
)
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.mixture import Configuration
from gmm_dask.settings.refit import RefitOptions
from gmm_dask.store.errors import RunIsBusy
from gmm_dask.store.location import Location

logger = logging.getLogger("gmm_dask")

Reached: TypeAlias = Callable[[Rows], AbstractContextManager[Client | None]]


def refit(
    source: object,
    models: Location,
    configuration: Configuration | int,
    *,
    options: RefitOptions | None = None,
    initial: Mixture | None = None,
    labels: object = None,
    client: Client | None = None,
    cluster: Reached | None = None,
    cache: Cache = "auto",
    checkpoint: Rhythm = EVERY_ITERATION,
    callbacks: Sequence[Callback] = (),
    **opening: Any,
) -> Refit:
    """Look at the rows, and bring the current model in the folder `models` up to them.

    Nothing new since the last look: no row is read and nothing started. Rows appended: they are
    checked and scored under the current model, which is then fitted on, from where it is, to all
    rows but the share that is held back; on those the two are compared, and the new one becomes
    the current version only if it is better by `options.margin`. Without any version, an ordinary
    fit (from `initial` or `labels`, if given) becomes the first. RunIsBusy while another refit of
    this folder is at work; killed, the next one goes on from its checkpoints. Passes run on
    `client`, or on what `cluster` reaches, which is called only if there is something to do.
    """
    if isinstance(configuration, int):
        configuration = Configuration(configuration)
    conduct = Conduct(client, cache, checkpoint=checkpoint, callbacks=callbacks)
    return refit_as(
        Request(
            source,
            models,
            configuration,
            options or RefitOptions(),
            initial,
            None if labels is None else lambda: open_column(labels, source),
            cluster,
            conduct,
            lambda: opened(source, opening),
        )
    )


@dataclass(frozen=True, eq=False)
class Request:
    """A refit that is asked for; nothing is looked at before it is carried out."""

    source: object
    models: Location
    configuration: Configuration
    options: RefitOptions
    initial: Mixture | None
    labels: Callable[[], Source] | None
    cluster: Reached | None
    conduct: Conduct
    open: Callable[[], Rows]

    def stored(self) -> Rows:
        """The rows that are there now."""
        rows = self.open()
        if rows.lazy:
            raise ConfigurationError(
                f"{rows.source.address} is not stored: refit takes a path or URL"
            )
        return rows

    def seen(self, rows: Rows, standing: Standing) -> Survey:
        """What is new of them."""
        return survey(rows, self.configuration, self.options, standing)

    def verify(self) -> None:
        """AbsentError while new rows are declared and not there."""
        rows = self.stored()
        new = self.seen(rows, look_at_versions(self.models) or Standing()).new or rows
        for index in range(len(new)):
            new.verify(index)

    def carry_out(self) -> Refit:
        """From a look to a decision."""
        rows = self.stored()
        standing = look_at_versions(self.models) or Standing()
        if self.seen(rows, standing).news == "nothing":
            return nothing_new(self.models, standing, rows)
        with open_versions(self.models) as versions:
            seen = self.seen(rows, versions.standing)
            if seen.news == "nothing":  # another one has done it meanwhile
                return nothing_new(self.models, versions.standing, rows)
            current = load_version(self.models) if versions.standing.current else None
            check_features(rows, current)
            plan = self.plan(current)
            run = versions.run_place(run_name(seen.asked, versions.standing.current))
            own = nullcontext(self.conduct.client) if self.cluster is None else self.cluster(rows)
            with own as client:
                conduct = replace(self.conduct, client=client, run=run)
                return Update(
                    rows, self.options, versions, current, seen, plan, conduct
                ).carry_out()

    def plan(self, current: Version | None) -> Starts:
        """From where to begin."""
        start = warm_start(current, self.configuration) or self.initial
        begins = None if start is not None else self.labels
        beside = None if begins is None else as_stored(begins())
        return Starts.of(self.configuration, start, beside)


def refit_as(asked: Request) -> Refit:
    """Carry it out, once nobody is in the middle of appending."""
    with failures_noted(str(asked.models), str(asked.source)):
        return once_written(asked.carry_out, asked.verify, str(asked.source))


@contextmanager
def failures_noted(models: str, source: str) -> Iterator[None]:
    """A refit that fails is counted; one that is left to another driver is none."""
    try:
        yield
    except RunIsBusy:
        raise
    except Exception:
        note_refit(models, source, FAILED)
        raise


def nothing_new(models: Location, standing: Standing, rows: Rows) -> Refit:
    """Told from the pointer alone."""
    result = Refit(
        str(models), "nothing new", "nothing", str(standing.current), rows.shape[0], new_rows=0
    )
    logger.info("%s: %s", rows.source.address, result.line())
    note_refit(result.models, rows.source.address, result.outcome)
    return result
