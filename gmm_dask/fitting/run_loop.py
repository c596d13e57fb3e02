"""From the first pass to the last: look at all rows, begin, iterate; in a run folder or without.

Knows how a fit is carried out; what is fitted, and from where it begins, is the plan's to say.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol, TypeAlias

from distributed import Client
from numpy.typing import NDArray

from gmm_dask.chunked.blas import one_blas_thread
from gmm_dask.chunked.engines.choice import active_client, engine_over
from gmm_dask.chunked.engines.protocol import Cache, Engine, PassReport
from gmm_dask.chunked.expectation import statistics_over
from gmm_dask.chunked.profile import Profile, profile
from gmm_dask.chunked.rows import Rows
from gmm_dask.fitting.events import MOST_PAST, Upkeep, tell_iteration, telling
from gmm_dask.fitting.freed_memory import given_back
from gmm_dask.fitting.journal import EVERY_ITERATION, Journal, Rhythm, history_entry
from gmm_dask.fitting.performance_report import performance_kept
from gmm_dask.fitting.result import Fit
from gmm_dask.fitting.row_changes import watched
from gmm_dask.mixture.iteration import EMSettings, EMState, iterate
from gmm_dask.mixture.maximisation import Event, too_large
from gmm_dask.mixture.regularisation import RegularisationWarning
from gmm_dask.models.model import Model
from gmm_dask.runs.folder import RunFolder, open_run
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.store.errors import RunDiffersError, StorageError
from gmm_dask.store.location import Location

logger = logging.getLogger("gmm_dask")

PLACES = {"driver": "the driver's", "processors": "that of the rows"}
KEPT_ROWS, KEPT_VALUES = 2_000, 2**20

History: TypeAlias = list[dict[str, Any]]


class Plan(Protocol):
    """What is to be fitted, and from where it begins."""

    @property
    def seed(self) -> int:
        """Of everything random."""

    @property
    def sample_rows(self) -> int:
        """How many rows to draw in the profile pass."""

    def settings(self) -> EMSettings:
        """How to iterate."""

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""

    def begin(self, engine: Engine, known: Profile) -> EMState:
        """The state before the first pass of EM."""

    def revise(self, state: EMState) -> EMState:
        """A say between passes: who has no reason to go on any more."""

    def conclude(self, state: EMState, rows: Rows, history: Sequence[dict[str, Any]]) -> Fit:
        """The fit that a finished state amounts to."""


@dataclass(frozen=True, eq=False)
class Progress:
    """What callbacks are told after every iteration: the state, its line in the history, and the
    run folder that is held, if there is one."""

    state: EMState
    entry: dict[str, Any]
    engine: Engine
    run: RunFolder | None = None


Callback: TypeAlias = Callable[[Progress], None]
Keep: TypeAlias = Callable[[Progress], float | None]
"""Keeps an iteration before anyone is told; returns the age of the newest checkpoint, if any."""


@dataclass(frozen=True, eq=False)
class Conduct:
    """What a fit is carried out with: nothing here changes a bit of its result."""

    client: Client | None = None
    cache: Cache = "auto"
    run: Location | None = None
    restart: bool = False
    checkpoint: Rhythm = EVERY_ITERATION
    callbacks: Sequence[Callback] = ()
    performance_report: bool = False


def carry_out(plan: Plan, rows: Rows, conduct: Conduct) -> tuple[EMState, Fit]:
    """The finished state and the fit that the plan concludes from it.

    In a run folder it goes on from the newest checkpoint, and a finished run is left alone.
    """
    reporting = reporter(conduct) if conduct.performance_report else None
    if conduct.run is None:
        history: History = []

        def keep(progress: Progress) -> None:
            history.append(progress.entry)

        with (
            engine_over(rows, conduct.client, conduct.cache) as (engine, costs),
            telling(engine, None, plan.settings()),
        ):
            known = look(plan, engine)
            state = plan.begin(engine, known)
            settings = plan.settings().for_rows(known.sample.rows, known.weight_total)
            known = known.without_sample()
            news = unlike(known, known.summary())
            state = travel(
                plan, engine, settings, known, costs, state, keep, conduct.callbacks, news
            )
            return state, plan.conclude(state, rows, history)
    with open_run(
        conduct.run,
        configuration=plan.identity(),
        fingerprint=rows.fingerprint(),
        seed=plan.seed,
        restart=conduct.restart,
    ) as folder:
        if folder.finished is None:
            with nullcontext() if reporting is None else performance_kept(folder, reporting):
                travel_in(folder, plan, rows, conduct)
        else:
            logger.info("%s is finished: nothing to do", folder)
        return kept(folder, plan, rows)


def reporter(conduct: Conduct) -> Client:
    """The client whose cluster a performance report is of; refused where there can be none."""
    client = conduct.client or active_client()
    if client is None:
        raise ConfigurationError(
            "a performance report is of a Dask cluster, and this fit has none: give client=, or "
            "--workers or --scheduler"
        )
    if conduct.run is None:
        raise ConfigurationError(
            "a performance report is kept in the run folder, and this fit has none: give run="
        )
    if find_spec("bokeh") is None:
        raise ConfigurationError(
            "a performance report needs bokeh: pip install 'gmm-dask[dashboard]'"
        )
    return client


def look(plan: Plan, engine: Engine) -> Profile:
    """The profile pass: every row validated, and a sample to begin from."""
    known = profile(engine, sample_rows=plan.sample_rows, seed=plan.seed)
    reg_covar = plan.settings().regularisation.reg_covar
    warning = too_large(reg_covar, engine.rows.feature_names, known.variances)
    if warning:
        advice = "give a smaller reg_covar, or store these features in a smaller unit"
        warnings.warn(f"{warning}; {advice}", RegularisationWarning, stacklevel=4)
    return known


def travel(
    plan: Plan,
    engine: Engine,
    settings: EMSettings,
    known: Profile,
    costs: list[PassReport],
    state: EMState,
    keep: Keep,
    callbacks: Sequence[Callback],
    news: Sequence[Event] = (),
    run: RunFolder | None = None,
) -> EMState:
    """Iterate until every candidate has a reason to stop; `news` are of the first iteration."""
    costs.clear()
    statistics_of = watched(statistics_over(engine, state.passes), known, engine.rows)
    last, began = state, time.perf_counter()
    for last in iterate(statistics_of, state, settings, plan.revise):
        reached = time.perf_counter()
        m_step = reached - began - sum(cost.seconds for cost in costs)
        entry = history_entry(last, costs, news)
        costs.clear()
        news = ()
        progress = Progress(last, entry, engine, run)
        given_back(last)
        age = keep(progress)
        upkeep = Upkeep(m_step, time.perf_counter() - reached, age)
        for tell in callbacks:
            tell(progress)
        tell_iteration(engine, last, entry, upkeep)
        given_back(last)
        began = time.perf_counter()
    return last


def travel_in(folder: RunFolder, plan: Plan, rows: Rows, conduct: Conduct) -> None:
    """The same in a run folder: from its newest checkpoint, to a checkpoint that is finished."""
    with (
        Journal(folder, conduct.checkpoint) as journal,
        engine_over(rows, conduct.client, conduct.cache) as (engine, costs),
    ):
        state = journal.resume()
        past = [] if state is None else folder.history.newest(MOST_PAST)
        with telling(engine, str(conduct.run), plan.settings(), past):
            known = look(plan, engine)
            news = confirm_profile(folder, known)
            folder.keep_sample(kept_rows(known))
            if state is None:
                state = plan.begin(engine, known)
            else:
                logger.info("resuming %s after iteration %d", folder, state.iteration)
            settings = plan.settings().for_rows(known.sample.rows, known.weight_total)
            known = known.without_sample()
            travel(
                plan,
                engine,
                settings,
                known,
                costs,
                state,
                lambda progress: journal.keep(progress.state, progress.entry),
                conduct.callbacks,
                news,
                folder,
            )


def confirm_profile(folder: RunFolder, known: Profile) -> list[Event]:
    """Keep what the profile pass found; refuse to go on with rows of which it finds otherwise.

    Returns what there is to tell of processors: those that the run was begun on, and unlike ones.
    """
    stored = folder.keep_profile(known.summary())
    if differing := known.differences(stored):
        reason = (
            "profile: the rows are not those that the run was begun with: values have changed "
            f"({', '.join(differing)})"
        )
        raise RunDiffersError(str(folder), (reason,))
    return unlike(known, stored)


def unlike(known: Profile, begun: Mapping[str, Any]) -> list[Event]:
    """Where processors are of other types, results agree to rounding, but not to the last bit."""
    reasons = []
    summary = known.summary()
    for who in ("driver", "processors"):
        if begun.get(who, summary[who]) != summary[who]:
            place, before, now = PLACES[who], begun[who], summary[who]
            reasons.append(
                f"goes on on another type of processor ({place}: {now}; before: {before})"
            )
    if not reasons and len(known.processors) > 1:
        types = summary["processors"]
        reasons.append(
            f"workers are of unlike types, and bits depend on who has which rows: {types}"
        )
    for reason in reasons:
        logger.warning(reason)
    return [Event(None, "processors", reason) for reason in reasons]


def kept_rows(known: Profile) -> dict[str, NDArray[Any]]:
    """The first of the sampled rows: what reports draw and check."""
    size = max(50, min(KEPT_ROWS, KEPT_VALUES // known.sample.rows.shape[1]))
    kept = known.sample.first(size)
    return {"rows": kept.rows, "weights": kept.represented, "indices": kept.indices}


def kept(folder: RunFolder, plan: Plan, rows: Rows) -> tuple[EMState, Fit]:
    """What a run folder holds in the end; its model is written, and it is marked as finished."""
    with one_blas_thread():
        state = folder.view.state
        if state is None:
            raise StorageError(
                f"{folder} is marked as finished but no checkpoint in it is whole: begin anew with "
                "restart=True (--restart); the model beside it may still be good"
            )
        given_back(state)
        fit = plan.conclude(state, rows, folder.history.read())
    if folder.finished is None:
        provenance = {
            "data": rows.describe(),
            "configuration": folder.record.configuration,
            "versions": folder.record.versions,
            **fit.provenance(),
        }
        folder.keep_model(Model(fit.mixture, fit.feature_names, provenance))
        folder.finish(fit.summary())
    return state, fit
