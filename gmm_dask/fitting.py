"""The hallway: rows, passes over them, the EM loop, checkpoints. Each lives in its own room."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from distributed import Client, default_client

from gmm_dask.chunked.expectation import statistics_over
from gmm_dask.chunked.passes import Engine, PassReport, one_blas_thread
from gmm_dask.chunked.profile import Profile, profile
from gmm_dask.chunked.reduce import DaskEngine, SerialEngine
from gmm_dask.chunked.rows import Rows, open_rows
from gmm_dask.chunked.sources import open_column
from gmm_dask.configuration import Configuration
from gmm_dask.journal import Journal, Rhythm, history_entry
from gmm_dask.mixture import criteria
from gmm_dask.mixture.iteration import EMState, iterate
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.starting import Starts
from gmm_dask.store.checkpoint import load_newest
from gmm_dask.store.em_state import decode_state
from gmm_dask.store.errors import KeyExistsError, RunDiffersError, StorageError
from gmm_dask.store.folder import create_or_confirm
from gmm_dask.store.location import Location
from gmm_dask.store.model import save_model
from gmm_dask.store.run_folder import RunFolder, open_run
from gmm_dask.store.sealed import seal

logger = logging.getLogger("gmm_dask")

Cache: TypeAlias = Literal["auto", "memory", "none"]


@dataclass(frozen=True, eq=False)
class Progress:
    """What callbacks are told after every iteration: the state, and its line in the history."""

    state: EMState
    entry: dict[str, Any]
    engine: Engine


Callback: TypeAlias = Callable[[Progress], None]

EVERY_ITERATION = Rhythm()


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted mixture, the statistics of all rows under it, and how it came about."""

    mixture: Mixture
    statistics: SufficientStatistics
    reason: str
    iterations: int
    passes: int
    feature_names: tuple[str, ...]
    history: tuple[dict[str, Any], ...] = field(repr=False)

    @property
    def converged(self) -> bool:
        """Whether a tolerance ended it, and not the cap on iterations."""
        return self.reason.startswith("converged")

    @property
    def mean_log_likelihood(self) -> float:
        """Per row, of this very mixture."""
        return self.statistics.mean_log_likelihood

    def summary(self) -> dict[str, Any]:
        """The result in a few numbers, JSON-able."""
        return {
            "reason": self.reason,
            "iterations": self.iterations,
            "passes": self.passes,
            "rows": self.statistics.rows,
            "weight": self.statistics.weight,
            "mean_log_likelihood": self.mean_log_likelihood,
            "bic": self.bic,
            "aic": self.aic,
            "icl": self.icl,
        }

    @property
    def bic(self) -> float:
        """Schwarz's criterion; smaller is better."""
        return criteria.bic(self.mixture, self.statistics)

    @property
    def aic(self) -> float:
        """Akaike's criterion; smaller is better."""
        return criteria.aic(self.mixture, self.statistics)

    @property
    def icl(self) -> float:
        """The integrated complete likelihood; smaller is better."""
        return criteria.icl(self.mixture, self.statistics)


def fit(
    source: object,
    configuration: Configuration | int,
    *,
    initial: Mixture | Sequence[Mixture] | None = None,
    labels: object = None,
    client: Client | None = None,
    cache: Cache = "auto",
    run: Location | None = None,
    restart: bool = False,
    checkpoint: Rhythm = EVERY_ITERATION,
    callbacks: Sequence[Callback] = (),
    **opening: Any,
) -> Fit:
    """Fit a Gaussian mixture to rows from anywhere that `open_rows` can open.

    `configuration` may be just the number of components. The start is drawn as it says, or is
    `initial` (one mixture, or several that compete), or follows from `labels` of all rows. Passes
    run on `client`, else on the active Dask client, else in this process, with the same bits.
    With `run`, a folder keeps history, checkpoints and the model: called again, it resumes, or
    returns at once what is finished.
    """
    if isinstance(configuration, int):
        configuration = Configuration(configuration)
    rows = source if isinstance(source, Rows) else open_rows(source, **opening)
    given = (initial,) if isinstance(initial, Mixture) else tuple(initial or ())
    starts = Starts(configuration, given, None if labels is None else open_column(labels, source))
    starts.check(rows.shape[1])
    if run is None:
        history: list[dict[str, Any]] = []
        tellers = (lambda progress: history.append(progress.entry), *callbacks)
        with journey(rows, starts, client, cache, tellers) as way:
            return concluded(way.end(way.begin(way.look())), rows, history)
    with open_run(
        run,
        configuration=configuration.as_dict() | starts.identity(),
        fingerprint=rows.fingerprint(),
        seed=configuration.seed,
        restart=restart,
    ) as folder:
        if folder.finished is None:
            with journey(rows, starts, client, cache, callbacks) as way:
                fit_in(folder, way, checkpoint)
        else:
            logger.info("%s is finished: nothing to do", folder)
        return kept(run, folder, rows)


@dataclass
class Journey:
    """From the first pass to the last: look, begin, iterate; and who is told on the way."""

    engine: Engine
    costs: list[PassReport]
    starts: Starts
    callbacks: Sequence[Callback]

    def look(self) -> Profile:
        """The profile pass: every row validated, and a sample to start from."""
        configuration = self.starts.configuration
        return profile(self.engine, sample_rows=configuration.sample_rows, seed=configuration.seed)

    def begin(self, known: Profile) -> EMState:
        """The state before the first pass of EM."""
        return self.starts.state(self.engine, known)

    def end(self, state: EMState) -> EMState:
        """Iterate until every candidate has a reason to stop."""
        settings = self.starts.configuration.settings()
        self.costs.clear()
        last = state
        for last in iterate(statistics_over(self.engine, state.passes), state, settings):
            entry = history_entry(last, self.costs)
            self.costs.clear()
            for tell in self.callbacks:
                tell(Progress(last, entry, self.engine))
        return last


@contextmanager
def journey(
    rows: Rows,
    starts: Starts,
    client: Client | None,
    cache: Cache,
    callbacks: Sequence[Callback],
) -> Iterator[Journey]:
    """A journey over these rows: on the client's cluster, or else in this process."""
    costs: list[PassReport] = []
    client = client or active_client()
    engine: DaskEngine | SerialEngine
    if client is None:
        engine = SerialEngine(rows, cache=cache, on_pass=costs.append)
    else:
        engine = DaskEngine(client, rows, cache=cache, on_pass=costs.append)
    with closing(engine), one_blas_thread():
        yield Journey(engine, costs, starts, callbacks)


def active_client() -> Client | None:
    """The client that this process has open, as all of Dask finds it."""
    try:
        return default_client()
    except ValueError:
        return None


def fit_in(folder: RunFolder, way: Journey, rhythm: Rhythm) -> None:
    """Go on from the newest checkpoint of the run, or begin it; leaves the finished state there."""
    with Journal(folder, rhythm) as journal:
        state = journal.resume()
        known = way.look()
        confirm_profile(folder, known)
        if state is None:
            state = way.begin(known)
        else:
            logger.info("resuming %s after iteration %d", folder, state.iteration)
        way.callbacks = (lambda told: journal.keep(told.state, told.entry), *way.callbacks)
        way.end(state)


def confirm_profile(folder: RunFolder, known: Profile) -> None:
    """Keep what the profile pass found; refuse to go on with rows of which it finds otherwise."""
    try:
        create_or_confirm(folder.folder, "profile.json", seal(known.summary()))
    except KeyExistsError:
        told = "profile: the rows are not those that the run was begun with: values have changed"
        raise RunDiffersError(str(folder), (told,)) from None


def kept(run: Location, folder: RunFolder, rows: Rows) -> Fit:
    """The fit that a run folder holds; its model is written, and it is marked as finished."""
    checkpoint = load_newest(folder.folder)
    if checkpoint is None:
        raise StorageError(f"{folder} is marked as finished but holds no checkpoint that is whole")
    state = decode_state(checkpoint.state, checkpoint.arrays)
    found = concluded(state, rows, folder.history.read())
    if folder.finished is None:
        save_model(
            found.mixture,
            f"{str(run).rstrip('/')}/model.zarr",
            feature_names=found.feature_names,
            provenance={
                "data": rows.describe(),
                "configuration": folder.record.configuration,
                "versions": folder.record.versions,
                **found.summary(),
            },
            overwrite=True,
        )
        folder.finish(found.summary())
    return found


def concluded(state: EMState, rows: Rows, history: Sequence[dict[str, Any]]) -> Fit:
    """The best candidate of a finished state."""
    best = state.best
    if best.statistics is None or best.reason is None:
        raise ValueError("a fit ends only after a pass over the rows")
    return Fit(
        best.mixture,
        best.statistics,
        best.reason,
        best.iteration,
        state.passes,
        rows.feature_names,
        tuple(history),
    )
