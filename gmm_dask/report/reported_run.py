"""What a report shows: a run as it stands, its leading mixture, and rows to draw."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gmm_dask.chunked.engines.in_process import SerialEngine
from gmm_dask.chunked.profile import profile
from gmm_dask.fitting.fit import opened
from gmm_dask.fitting.run_loop import KEPT_ROWS
from gmm_dask.fitting.selection import Candidates, Choice
from gmm_dask.mixture.iteration import Candidate, EMState
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.starts.initial import Sample
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.runs.layout import RECORD, model_place
from gmm_dask.runs.record import RunRecord
from gmm_dask.runs.view import RunView, look_at_run
from gmm_dask.scoring.kept_overlap import overlap_in
from gmm_dask.scoring.merging.overlap import Overlap
from gmm_dask.settings.mixture import Configuration
from gmm_dask.store.errors import DamagedCheckpointWarning, DamagedError, StorageError
from gmm_dask.store.location import Location


@dataclass(frozen=True, eq=False)
class ReportedRun:
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
    overlap: Overlap | None = None

    @property
    def configuration(self) -> dict[str, Any]:
        """Settings by name; those of a selection are its first candidate's."""
        grid = self.record.configuration.get("grid")
        return dict(grid[0] if grid else self.record.configuration)

    @property
    def criterion(self) -> str | None:
        """By which a selection chooses; None for a single fit."""
        criterion: str | None = self.record.configuration.get("criterion")
        return criterion

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features."""
        return tuple(" ".join(str(name).split()) for name in self._fingerprint("features", ()))

    @property
    def address(self) -> str | None:
        """Where the rows lie; None for rows that were in memory."""
        address: str | None = self._fingerprint("source", {}).get("address")
        return address

    def _fingerprint(self, name: str, absent: Any) -> Any:
        return self.record.fingerprint.get(name) or absent

    @property
    def model(self) -> str:
        """Where the model is, or will be."""
        return model_place(self.where)


def reported_run(run: Location, source: object = None) -> ReportedRun:
    """Everything that a report needs; rows come from the run's own sample, else from `source`."""
    view = look_at_run(run)
    if view is None:
        raise StorageError(f"there is no run at {run}: no {RECORD}")
    record, state, finished = view.record, newest_state(view), view.finished
    best: Candidate | None = None
    choices: tuple[Choice, ...] = ()
    if state is not None and state.candidates[0].statistics is not None:
        best, choices = leading(state, record)
    mixture = best.mixture if best else last_model(view, finished)
    return ReportedRun(
        where=view.where,
        record=record,
        finished=finished,
        history=tuple(view.history),
        profile=view.profile,
        mixture=mixture,
        statistics=best.statistics if best else None,
        reason=best.reason if best else None,
        choices=choices,
        sample=view.sample or drawn_sample(source, record.seed or 0),
        overlap=None if mixture is None else overlap_in(view.where, mixture),
    )


def newest_state(view: RunView) -> EMState | None:
    """That of the newest checkpoint that is whole; None where none is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedCheckpointWarning)
            return view.state
    except DamagedError:
        return None


def leading(state: EMState, record: RunRecord) -> tuple[Candidate, tuple[Choice, ...]]:
    """The best candidate so far, by likelihood or by the selection's criterion, and its rivals."""
    grid = record.configuration.get("grid")
    if not grid:
        return state.best, ()
    plan = Candidates(
        tuple(Configuration(**one) for one in grid), record.configuration["criterion"]
    )
    return plan.leading(state), plan.table(state)


def last_model(view: RunView, finished: Mapping[str, Any] | None) -> Mixture | None:
    """The run's model, should no checkpoint be left; unfinished, the run has none of its own."""
    if finished is None:
        return None
    try:
        return view.model.mixture
    except StorageError:
        return None


def drawn_sample(source: object, seed: int) -> Sample | None:
    """As many rows of a source that is at hand, by a pass over it in this process."""
    if source is None:
        return None
    engine = SerialEngine(opened(source, {}), cache="none")
    drawn = profile(engine, sample_rows=KEPT_ROWS, seed=seed).sample
    return Sample.of(drawn.rows, drawn.represented)
