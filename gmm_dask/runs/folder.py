"""A run folder: one driver, one configuration, one set of data, from beginning to finish.

    run.json         write-once: what the run is: configuration, data, seed, versions, and an id
    checkpoints/     see checkpoint.py
    history.jsonl    see history.py
    FINISHED.json    write-once: the result; such a run has nothing left to do
    model.zarr       see model.py; that of an unfinished run is an earlier attempt's

In an object store all but the model lies below `attempt-00000001/`, and a restart begins the next
attempt; on files a restart renames the old folder to `<run>.old-1`.
"""

import importlib.metadata
import platform
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from gmm_dask.mixture.kernels.compilation import compiler
from gmm_dask.models.model import Model, write_model
from gmm_dask.runs.checkpoint import Checkpoint, load_newest
from gmm_dask.runs.checkpoint_writer import CheckpointWriter
from gmm_dask.runs.claim import Claim, claim_run, find_run
from gmm_dask.runs.identity import FIELD, RECORD, confirm_id, id_in, named, new_id
from gmm_dask.store.errors import (
    DamagedError,
    KeyExistsError,
    KeyMissingError,
    LostWarning,
    OtherVersionsWarning,
    RunDiffersError,
    UnknownFormatError,
)
from gmm_dask.store.folder import Folder, create_or_confirm
from gmm_dask.store.lease import TIME_TO_LIVE
from gmm_dask.store.location import Location
from gmm_dask.store.sealed import from_json, seal, to_json, unseal

FORMAT_VERSION = 1
_FINISHED = "FINISHED.json"
MODEL = "model.zarr"
LOOKED_AT = 8
"""Last lines of a history that are looked at for where it ends: some may be damaged."""
UNKEPT = 2
"""An iteration that is told of only once the first checkpoint is kept, or after a long wait."""


@dataclass(frozen=True)
class RunRecord:
    """What a run was begun with."""

    configuration: dict[str, Any]
    fingerprint: dict[str, Any]
    seed: int | None
    versions: dict[str, Any]
    run_id: str | None = None


class RunFolder:
    """A run that this process holds; made by `open_run`, let go by `close`."""

    def __init__(self, claim: Claim, record: RunRecord) -> None:
        self.folder, self.history, self.record = claim.folder, claim.history, record
        self._home, self._lock = claim.home, claim.lock

    def __str__(self) -> str:
        return str(self.folder)

    def resume(self) -> Checkpoint | None:
        """The newest checkpoint, with the history cut to it; None where there is none yet.

        In a copy that was taken of a run at work, the history may be older than the checkpoints:
        then the newest one that it reaches, if there is one.
        """
        told = self.history.newest(LOOKED_AT)
        reached = told[-1]["iteration"] if told else -1
        checkpoint = load_newest(self.folder)
        if checkpoint is not None and reached < checkpoint.iteration:
            with suppress(DamagedError):
                checkpoint = load_newest(self.folder, upto=reached) or checkpoint
        self._tell_what_is_lost(reached, None if checkpoint is None else checkpoint.iteration)
        self.history.truncate(None if checkpoint is None else checkpoint.iteration)
        return checkpoint

    def _tell_what_is_lost(self, reached: int, kept: int | None) -> None:
        """Every iteration is told of before it is kept, and kept soon after."""
        message = None
        if kept is None and reached >= UNKEPT:
            message = (
                f"{self} holds no checkpoint any more, though its history reaches iteration "
                f"{reached}: it begins anew"
            )
        elif kept is not None and reached < kept:
            message = (
                f"the history of {self} is lost from iteration {reached + 1} on, up to its "
                f"checkpoint of iteration {kept}: it goes on without"
            )
        if message is not None:
            warnings.warn(message, LostWarning, stacklevel=3)

    def writer(self, *, last: int = 3) -> CheckpointWriter:
        """A background writer, which makes the history durable ahead of each checkpoint."""
        return CheckpointWriter(
            self.folder, last=last, before=self.history.sync, run_id=self.record.run_id
        )

    @property
    def finished(self) -> dict[str, Any] | None:
        """The result, once the run is finished."""
        return read_finished(self.folder)

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
        create_or_confirm(self.folder, _FINISHED, seal(named(result, self.record.run_id)))

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
    given = RunRecord(
        from_json(to_json(configuration)),
        from_json(to_json(fingerprint)),
        seed,
        from_json(to_json(_installed() if versions is None else versions)),
        new_id(),
    )
    claim = claim_run(where, RECORD, restart=restart, time_to_live=time_to_live)
    try:
        record = _begin_or_compare(claim.folder, given)
        return RunFolder(claim, record)
    except BaseException:
        claim.lock.release()
        raise


def look_at_run(where: Location) -> Folder | None:
    """The folder of the run's present attempt, to read only, driver or no driver; None if none."""
    return find_run(where, RECORD)


def read_record(folder: Folder) -> RunRecord:
    """What the run in this folder was begun with."""
    content = unseal(folder.read(RECORD), RECORD)
    if content.get("format_version") != FORMAT_VERSION:
        raise UnknownFormatError(
            f"{RECORD} in {folder} has format version {content.get('format_version')}; this "
            f"program reads {FORMAT_VERSION}: use the version of gmm-dask that wrote it"
        )
    fields = ("configuration", "fingerprint", "seed", "versions")
    missing = [name for name in fields if name not in content]
    if missing:
        raise DamagedError(f"{RECORD} in {folder} is damaged: it has no {missing[0]}")
    content.setdefault(FIELD, None)
    return RunRecord(**{name: content[name] for name in (*fields, FIELD)})


def read_finished(folder: Folder) -> dict[str, Any] | None:
    """The result of a finished run, None while it is not finished."""
    try:
        content = unseal(folder.read(_FINISHED), _FINISHED)
    except KeyMissingError:
        return None
    told = f"{_FINISHED} in {folder} is of another run: take it away, and this one goes on"
    confirm_id(content, id_in(folder), told)
    content.pop(FIELD, None)
    return content


def _begin_or_compare(folder: Folder, given: RunRecord) -> RunRecord:
    record = seal({"format_version": FORMAT_VERSION, **vars(given)})
    try:
        create_or_confirm(folder, RECORD, record)
    except KeyExistsError:
        stored = read_record(folder)
        _refuse_differences(str(folder), stored, given)
        _warn_of_versions(str(folder), stored, given)
        return stored
    return given


def _refuse_differences(where: str, stored: RunRecord, given: RunRecord) -> None:
    compared = ("configuration", "fingerprint", "seed")
    differences = _differences(
        {name: getattr(stored, name) for name in compared},
        {name: getattr(given, name) for name in compared},
    )
    if differences:
        raise RunDiffersError(where, differences)


def _warn_of_versions(where: str, stored: RunRecord, given: RunRecord) -> None:
    differences = _differences(stored.versions, given.versions)
    if differences:
        message = f"{where} was begun with other versions: {', '.join(differences)}"
        warnings.warn(message, OtherVersionsWarning, stacklevel=4)


def _differences(stored: object, given: object, name: str = "") -> tuple[str, ...]:
    if isinstance(stored, dict) and isinstance(given, dict):
        absent = "(absent)"
        return tuple(
            difference
            for key in [*stored, *(key for key in given if key not in stored)]
            for difference in _differences(
                stored.get(key, absent), given.get(key, absent), f"{name}.{key}".lstrip(".")
            )
        )
    # Compared as JSON, so that nan equals nan, and True is not 1.
    return () if to_json(stored) == to_json(given) else (f"{name}: {stored!r} -> {given!r}",)


def _installed() -> dict[str, str]:
    packages = ("gmm-dask", "numpy", "scipy")
    return {"python": platform.python_version(), "compiler": compiler()} | {
        package: importlib.metadata.version(package) for package in packages
    }
