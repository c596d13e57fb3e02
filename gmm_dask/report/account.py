"""What a run folder tells of its run, finished or not, driver or no driver: read, never changed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gmm_dask.chunked.engines.in_process import SerialEngine
from gmm_dask.chunked.profile import profile
from gmm_dask.fitting.fit import opened
from gmm_dask.fitting.run_loop import KEPT_ROWS, SAMPLE
from gmm_dask.fitting.selection import Choice, Grid
from gmm_dask.mixture.iteration import Candidate, EMState
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.starts.initial import Sample
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.models.model import load_model
from gmm_dask.runs.checkpoint import load_newest
from gmm_dask.runs.folder import RunRecord, look_at_run, read_finished, read_record
from gmm_dask.runs.history import LocalHistory, ObjectHistory
from gmm_dask.runs.state import decode_state
from gmm_dask.settings.configuration import Configuration
from gmm_dask.store.arrays import unpack_arrays
from gmm_dask.store.errors import (
    DamagedCheckpointWarning,
    DamagedError,
    KeyMissingError,
    StorageError,
)
from gmm_dask.store.folder import Folder
from gmm_dask.store.local import LocalFolder
from gmm_dask.store.location import Location
from gmm_dask.store.sealed import unseal


@dataclass(frozen=True, eq=False)
class Account:
    """A run as it stands: what has not come about yet is None or empty."""

    where: str
    record: RunRecord
    finished: dict[str, Any] | None
    history: tuple[dict[str, Any], ...]
    profile: dict[str, Any] | None
    mixture: Mixture | None
    statistics: SufficientStatistics | None
    reason: str | None
    choices: tuple[Choice, ...]
    sample: Sample | None

    @property
    def configuration(self) -> dict[str, Any]:
        """Settings by name; those of a selection are its first candidate's."""
        grid = self.record.configuration.get("grid")
        return dict(grid[0] if grid else self.record.configuration)

    @property
    def criterion(self) -> str | None:
        """By which a selection chooses; None for a single fit."""
        found: str | None = self.record.configuration.get("criterion")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features."""
        return tuple(" ".join(str(name).split()) for name in self._fingerprint("features", ()))

    @property
    def address(self) -> str | None:
        """Where the rows lie; None for rows that were in memory."""
        found: str | None = self._fingerprint("source", {}).get("address")
        return found

    def _fingerprint(self, name: str, absent: Any) -> Any:
        return self.record.fingerprint.get(name) or absent

    @property
    def model(self) -> str:
        """Where the model is, or will be."""
        return f"{self.where}/model.zarr"


def account_of(run: Location, source: object = None) -> Account:
    """Everything that a report needs; rows come from the run's own sample, else from `source`."""
    folder = look_at_run(run)
    if folder is None:
        raise StorageError(f"there is no run at {run}: no run.json")
    where = str(run).rstrip("/")
    record = read_record(folder)
    state, finished = newest_state(folder), read_finished(folder)
    best: Candidate | None = None
    choices: tuple[Choice, ...] = ()
    if state is not None and state.candidates[0].statistics is not None:
        best, choices = leading(state, record)
    mixture = best.mixture if best else last_model(where, finished)
    return Account(
        where=where,
        record=record,
        finished=finished,
        history=read_history(folder),
        profile=read_profile(folder),
        mixture=mixture,
        statistics=best.statistics if best else None,
        reason=best.reason if best else None,
        choices=choices,
        sample=kept_sample(folder) or drawn_sample(source, record.seed or 0),
    )


def newest_state(folder: Folder) -> EMState | None:
    """The newest checkpoint that is whole; None where none is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedCheckpointWarning)
            checkpoint = load_newest(folder)
    except DamagedError:
        return None
    return None if checkpoint is None else decode_state(checkpoint.state, checkpoint.arrays)


def leading(state: EMState, record: RunRecord) -> tuple[Candidate, tuple[Choice, ...]]:
    """The best candidate so far, by likelihood or by the selection's criterion, and its rivals."""
    grid = record.configuration.get("grid")
    if not grid:
        return state.best, ()
    plan = Grid(tuple(Configuration(**one) for one in grid), record.configuration["criterion"])
    return min(state.candidates, key=plan.value), plan.table(state)


def last_model(where: str, finished: Mapping[str, Any] | None) -> Mixture | None:
    """The run's model, should no checkpoint be left; unfinished, the run has none of its own."""
    if finished is None:
        return None
    try:
        return load_model(f"{where}/model.zarr").mixture
    except StorageError:
        return None


def read_history(folder: Folder) -> tuple[dict[str, Any], ...]:
    """Every iteration so far."""
    if isinstance(folder, LocalFolder):
        return tuple(LocalHistory(folder).read())
    return tuple(ObjectHistory(folder).read())


def read_profile(folder: Folder) -> dict[str, Any] | None:
    """What the first pass over the rows found."""
    try:
        return unseal(folder.read("profile.json"), "profile.json")
    except KeyMissingError:
        return None


def kept_sample(folder: Folder) -> Sample | None:
    """The rows that the run has kept of its data."""
    try:
        arrays = unpack_arrays(folder.read(SAMPLE), SAMPLE)
    except KeyMissingError:
        return None
    return Sample.of(arrays["rows"], arrays["weights"]) if len(arrays["rows"]) else None


def drawn_sample(source: object, seed: int) -> Sample | None:
    """As many rows of a source that is at hand, by a pass over it in this process."""
    if source is None:
        return None
    engine = SerialEngine(opened(source, {}), cache="none")
    drawn = profile(engine, sample_rows=KEPT_ROWS, seed=seed).sample
    return Sample.of(drawn.rows, drawn.represented)
