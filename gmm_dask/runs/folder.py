"""A run folder: one driver, one configuration, one set of data, from beginning to finish."""

import warnings
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from gmm_dask.models.model import MODEL, Model, write_model
from gmm_dask.runs.checkpoint import Checkpoint, load_newest
from gmm_dask.runs.checkpoint_writer import CheckpointWriter
from gmm_dask.runs.claim import Claim, claim_run
from gmm_dask.runs.layout import CONFIGURATION, FINISHED, PERFORMANCE_REPORT, PROFILE, SAMPLE
from gmm_dask.runs.record import RunRecord, begin_or_compare, named, new_record
from gmm_dask.runs.view import RunView
from gmm_dask.store.arrays import pack_arrays
from gmm_dask.store.errors import DamagedError, KeyExistsError, LostWarning
from gmm_dask.store.folder import create_or_confirm
from gmm_dask.store.lease import TIME_TO_LIVE
from gmm_dask.store.location import Location
from gmm_dask.store.sealed import seal, unseal

LOOKED_AT = 8
"""Last lines of a history that are looked at for where it ends: some may be damaged."""
UNKEPT = 2
"""An iteration that is told of only once the first checkpoint is kept, or after a long wait."""


class RunFolder:
    """A run that this process holds; made by `open_run`, let go by `close`."""

    def __init__(self, claim: Claim, record: RunRecord) -> None:
        self.folder, self.history, self.record = claim.folder, claim.history, record
        self.view = RunView(str(claim.home), claim.folder)
        self._home, self._lock = claim.home, claim.lock

    def __str__(self) -> str:
        return str(self.folder)

    def resume(self) -> Checkpoint | None:
        """The newest checkpoint, with the history cut to it; None where there is none yet.

        In a copy that was taken of a run at work, the history may be older than the checkpoints:
        then the newest one that it reaches, if there is one.
        """
        entries = self.history.newest(LOOKED_AT)
        reached = entries[-1]["iteration"] if entries else -1
        checkpoint = load_newest(self.folder)
        if checkpoint is not None and reached < checkpoint.iteration:
            with suppress(DamagedError):
                checkpoint = load_newest(self.folder, upto=reached) or checkpoint
        kept = None if checkpoint is None else checkpoint.iteration
        _warn_of_losses(str(self), reached, kept)
        self.history.truncate(kept)
        return checkpoint

    def writer(self, *, last: int = 3) -> CheckpointWriter:
        """A background writer, which makes the history durable ahead of each checkpoint."""
        return CheckpointWriter(
            self.folder, last=last, before=self.history.sync, run_id=self.record.run_id
        )

    @property
    def finished(self) -> dict[str, Any] | None:
        """The result, once the run is finished."""
        return self.view.finished

    def keep_profile(self, profile: Mapping[str, object]) -> Mapping[str, Any]:
        """Write what the first pass found, once; what the run was begun with is given back."""
        try:
            create_or_confirm(self.folder, PROFILE, seal(profile))
        except KeyExistsError:
            return unseal(self.folder.read(PROFILE), PROFILE)
        return profile

    def keep_sample(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write rows of the data, once."""
        if not self.folder.exists(SAMPLE):
            create_or_confirm(self.folder, SAMPLE, pack_arrays(arrays))

    def keep_configuration(self, toml: str) -> None:
        """Write what was asked for, so that the run can be resumed and done again."""
        self._home.replace(CONFIGURATION, toml.encode())

    def keep_performance_report(self, page: bytes) -> None:
        """Write Dask's report of this driver's part, in place of an earlier one's."""
        self.folder.replace(PERFORMANCE_REPORT, page)

    def keep_model(self, model: Model) -> None:
        """Write the run's model, in place of the one of an attempt before, if the run is ours."""
        write_model(
            self._home.within(MODEL),
            model.mixture,
            feature_names=model.feature_names,
            provenance=model.provenance,
            overwrite=True,
        )

    def finish(self, result: Mapping[str, object]) -> None:
        """Mark the run as finished, once; the same result again is no error."""
        self.history.sync()
        create_or_confirm(self.folder, FINISHED, seal(named(result, self.record.run_id)))

    def close(self) -> None:
        """Let another driver in."""
        self._lock.release()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_run(
    where: Location,
    *,
    configuration: Mapping[str, object],
    fingerprint: Mapping[str, object],
    seed: int | None,
    versions: Mapping[str, object] | None = None,
    restart: bool = False,
    time_to_live: float = TIME_TO_LIVE,
) -> RunFolder:
    """Begin the run at a path or URL, or take it up again.

    Raises RunIsBusy while another driver has it, RunDiffersError if it was begun with another
    configuration, other data or another seed. `restart` begins anew and keeps the old run aside.
    `time_to_live`: seconds without a sign of life after which the run's lease in an object store
    may be taken over; local files need none.
    """
    given = new_record(configuration, fingerprint, seed, versions)
    claim = claim_run(where, restart=restart, time_to_live=time_to_live)
    try:
        return RunFolder(claim, begin_or_compare(claim.folder, given))
    except BaseException:
        claim.lock.release()
        raise


def _warn_of_losses(run: str, reached: int, kept: int | None) -> None:
    """Every iteration is told of before it is kept, and kept soon after."""
    message = None
    if kept is None and reached >= UNKEPT:
        message = (
            f"{run} holds no checkpoint any more, though its history reaches iteration "
            f"{reached}: it begins anew"
        )
    elif kept is not None and reached < kept:
        message = (
            f"the history of {run} is lost from iteration {reached + 1} on, up to its "
            f"checkpoint of iteration {kept}: it goes on without"
        )
    if message is not None:
        warnings.warn(message, LostWarning, stacklevel=3)
