"""A run folder as it stands, driver or no driver: everything in it to read, nothing to change."""

from dataclasses import dataclass
from typing import Any

from gmm_dask.mixture.iteration import EMState
from gmm_dask.mixture.starts.initial import Sample
from gmm_dask.models.model import Model, load_model
from gmm_dask.runs.checkpoint import Checkpoint, complete_iterations, load_newest
from gmm_dask.runs.claim import find_run
from gmm_dask.runs.documents import document_in
from gmm_dask.runs.history import history_of
from gmm_dask.runs.layout import (
    CONFIGURATION,
    FINISHED,
    PICTURE,
    PROFILE,
    REPORT,
    SAMPLE,
    model_place,
)
from gmm_dask.runs.record import RUN_ID, RunRecord, confirm_id, id_in, read_record
from gmm_dask.runs.state import decode_state
from gmm_dask.store.arrays import unpack_arrays
from gmm_dask.store.errors import KeyMissingError
from gmm_dask.store.folder import Folder
from gmm_dask.store.location import Location
from gmm_dask.store.sealed import unseal


@dataclass(frozen=True, eq=False)
class RunView:
    """A run at a path or URL, and the folder of its present attempt; read anew whenever asked."""

    where: str
    folder: Folder

    @property
    def record(self) -> RunRecord:
        """What the run was begun with."""
        return read_record(self.folder)

    @property
    def finished(self) -> dict[str, Any] | None:
        """The result of a finished run, None while it is not finished."""
        content = self._unsealed(FINISHED)
        if content is None:
            return None
        other = f"{FINISHED} in {self.folder} is of another run: take it away, and this one goes on"
        confirm_id(content, id_in(self.folder), other)
        content.pop(RUN_ID, None)
        return content

    @property
    def profile(self) -> dict[str, Any] | None:
        """What the first pass over the rows found."""
        return self._unsealed(PROFILE)

    @property
    def sample(self) -> Sample | None:
        """The rows that the run has kept of its data."""
        try:
            arrays = unpack_arrays(self.folder.read(SAMPLE), SAMPLE)
        except KeyMissingError:
            return None
        return Sample.of(arrays["rows"], arrays["weights"]) if len(arrays["rows"]) else None

    @property
    def history(self) -> list[dict[str, Any]]:
        """Every iteration so far."""
        return history_of(self.folder).read()

    @property
    def iterations_kept(self) -> list[int]:
        """Those that have a complete checkpoint, oldest first."""
        return complete_iterations(self.folder)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The newest that is whole; None before the first."""
        return load_newest(self.folder)

    @property
    def state(self) -> EMState | None:
        """Of the newest checkpoint."""
        checkpoint = self.checkpoint
        return None if checkpoint is None else decode_state(checkpoint.state, checkpoint.arrays)

    @property
    def model_place(self) -> str:
        """Where the model is, or will be."""
        return model_place(self.where)

    @property
    def model(self) -> Model:
        """Of a finished run; that of an unfinished one is an earlier attempt's."""
        return load_model(self.model_place)

    @property
    def configuration(self) -> str | None:
        """Where it keeps what it was asked: fits of the command line do, others need not."""
        return document_in(self.where, CONFIGURATION)

    @property
    def report(self) -> str | None:
        """Where its report is, once there is one."""
        return document_in(self.where, REPORT)

    @property
    def picture(self) -> str | None:
        """Where a selection's curve is, once it is drawn."""
        return document_in(self.where, PICTURE)

    def _unsealed(self, name: str) -> dict[str, Any] | None:
        try:
            return unseal(self.folder.read(name), name)
        except KeyMissingError:
            return None


def look_at_run(where: Location) -> RunView | None:
    """The run at a path or URL, as it stands; None where none was begun."""
    folder = find_run(where)
    return None if folder is None else RunView(str(where).rstrip("/"), folder)
