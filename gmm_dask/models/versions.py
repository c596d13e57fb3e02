"""Versions of one model: which of them is current, and how each came to be.

    current.json            the pointer: the current version, those kept, and every decision
    v0007/model.zarr        a version's model; version.json beside it says what it was made of
    runs/<name>/            where the fits of this model keep their checkpoints

A version is whole and durable before the pointer names it, and the pointer is replaced in one step:
killed at any moment, it names a whole model, and its history ends with the decision that did so.
One process at a time changes anything, by a lock on files and a lease in object stores; looking
needs neither. Knows nothing of why a version is promoted.
"""

import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from gmm_dask.models.model import MODEL, Model, load_model, write_model
from gmm_dask.store.errors import KeyMissingError, StorageError, UnknownFormatError
from gmm_dask.store.folder import Folder, GuardedFolder
from gmm_dask.store.lease import TIME_TO_LIVE, Lease
from gmm_dask.store.local_folder import LocalFolder
from gmm_dask.store.location import Location, checked_name, open_folder
from gmm_dask.store.lock import FileLock, Lock
from gmm_dask.store.sealed import seal, unseal

FORMAT_VERSION = 1
POINTER, FACTS, LOCK = "current.json", "version.json", ".lock"
MOST_DECISIONS = 1000
_VERSION = re.compile(r"v\d{4,}")


@dataclass(frozen=True)
class Standing:
    """What the pointer says: versions oldest first, decisions oldest first."""

    current: str | None = None
    versions: tuple[str, ...] = ()
    looked: Mapping[str, Any] | None = None
    decisions: tuple[Mapping[str, Any], ...] = ()

    @property
    def next(self) -> str:
        """The name of the version to come."""
        return f"v{max((int(name[1:]) for name in self.versions), default=0) + 1:04d}"

    def promotion(self, version: str) -> Mapping[str, Any]:
        """The decision that made a version."""
        made = (one for one in self.decisions if one.get("promoted") == version)
        return next(made, {})


@dataclass(frozen=True, eq=False)
class Version:
    """A kept version: its model, and the facts that were noted when it was promoted."""

    name: str
    where: str
    model: Model
    facts: Mapping[str, Any]


def look_at_versions(where: Location) -> Standing | None:
    """What the pointer says, to read only; None where there is none."""
    return _read_pointer(open_folder(where))


def load_version(where: Location, name: str | None = None) -> Version:
    """A version, the current one unless another is named; StorageError says what is missing."""
    folder = open_folder(where)
    while True:
        standing = _read_pointer(folder)
        if standing is None or standing.current is None:
            raise KeyMissingError(f"there are no models at {folder}: {POINTER} is missing")
        chosen = _kept(standing, name or standing.current, str(folder))
        try:
            return _read_version(where, folder, chosen)
        except StorageError:
            # Gone on purpose while it was read, as often as a slow reader is overtaken: once more.
            after = _read_pointer(folder)
            if after is None or chosen in after.versions:
                raise


def _read_version(where: Location, folder: Folder, name: str) -> Version:
    facts = unseal(folder.read(f"{name}/{FACTS}"), f"{name}/{FACTS}")
    place = model_place(where, name)
    return Version(name, place, load_model(place), facts)


def model_place(where: Location, version: str) -> str:
    """Where the model of a version lies."""
    return f"{os.fspath(where).rstrip('/')}/{version}/{MODEL}"


class ModelVersions:
    """The versions of a model while this process alone may change them; made by `open_versions`."""

    def __init__(self, where: str, folder: Folder, lock: Lock) -> None:
        self.where, self._folder, self._lock = where, folder, lock
        self.standing = _read_pointer(folder) or Standing()

    def run_place(self, name: str) -> str:
        """The run folder of one fit of this model."""
        return f"{self.where}/runs/{name}"

    def promote(
        self,
        model: Model,
        facts: Mapping[str, object],
        decision: Mapping[str, object],
        looked: Mapping[str, object],
        *,
        keep: int,
    ) -> str:
        """Make the next version of a model, and it the current one; the newest `keep` are kept."""
        name = self.standing.next
        self._write(name, model, facts)
        versions = (*self.standing.versions, name)[-keep:]
        self._decide({**decision, "promoted": name}, name, versions, looked)
        self.tidy(keep)
        return name

    def note(
        self, decision: Mapping[str, object], looked: Mapping[str, object], *, keep: int
    ) -> None:
        """Note a decision that leaves the current version where it is."""
        self._decide(decision, self.standing.current, self.standing.versions, looked)
        self.tidy(keep)

    def roll_back(self, version: str) -> None:
        """Make a kept version the current one, after reading every byte of it."""
        chosen = _kept(self.standing, version, self.where)
        load_version(self.where, chosen)
        decision = {"outcome": "rolled back", "from": self.standing.current}
        self._decide(decision, chosen, self.standing.versions, self.standing.looked)

    def tidy(self, keep: int) -> None:
        """Remove what neither the pointer nor its newest decisions name."""
        newest = self.standing.decisions[-keep:]
        promotions = map(self.standing.promotion, self.standing.versions)
        runs = {one.get("run") for one in (*newest, *promotions)}
        for top, *inner in {tuple(key.split("/")[:2]) for key in self._folder.list()}:
            if _VERSION.fullmatch(top) and top not in self.standing.versions:
                self._folder.discard(top)
            elif top == "runs" and inner and inner[0] not in runs:
                self._folder.discard(f"runs/{inner[0]}")

    def close(self) -> None:
        """Let another process in."""
        self._lock.release()

    def __enter__(self) -> "ModelVersions":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, name: str, model: Model, facts: Mapping[str, object]) -> None:
        self._folder.discard(name)  # what a killed process has left
        write_model(
            self._folder.within(f"{name}/{MODEL}"),
            model.mixture,
            feature_names=model.feature_names,
            provenance=model.provenance,
            overwrite=True,
        )
        self._folder.replace(f"{name}/{FACTS}", seal(facts))

    def _decide(
        self,
        decision: Mapping[str, object],
        current: str | None,
        versions: Sequence[str],
        looked: Mapping[str, object] | None,
    ) -> None:
        """Replace the pointer: the one write that changes anything for who looks."""
        kept = versions if current is None or current in versions else (current, *versions)
        noted = {"when": _now(), **decision, "version": current}
        decisions = (*self.standing.decisions, noted)[-MOST_DECISIONS:]
        standing = replace(
            self.standing,
            current=current,
            versions=tuple(kept),
            looked=looked,
            decisions=decisions,
        )
        content = {"format_version": FORMAT_VERSION, **vars(standing)}
        self._folder.replace(POINTER, seal(content))
        self.standing = standing


def open_versions(where: Location, *, time_to_live: float = TIME_TO_LIVE) -> ModelVersions:
    """Hold the versions at a path or URL; RunIsBusy while another process does.

    `time_to_live`: see `open_run`.
    """
    checked_name(where)
    place = os.fspath(where).rstrip("/")
    folder = open_folder(where)
    lock: Lock
    if isinstance(folder, LocalFolder):
        lock = _lock_local(folder)
        return _opened(place, folder, lock)
    lock = Lease.take(folder, time_to_live)
    return _opened(place, GuardedFolder(folder, lock.confirm), lock)


def _opened(where: str, folder: Folder, lock: Lock) -> ModelVersions:
    try:
        return ModelVersions(where, folder, lock)
    except BaseException:
        lock.release()
        raise


def _lock_local(folder: LocalFolder) -> FileLock:
    root = folder.root
    try:
        root.mkdir(parents=True, exist_ok=True)
        _refuse_strangers(folder)
        return FileLock.take(root / LOCK)
    except OSError as error:
        raise StorageError(f"{root} cannot be used as a folder of models: {error}") from error


def _refuse_strangers(folder: LocalFolder) -> None:
    """A run, a store of rows, or whatever else is kept there already."""
    root = folder.root
    strangers: set[str] = set()
    with suppress(FileNotFoundError):
        strangers = {path.name for path in root.iterdir() if not path.name.startswith(".")}
    if POINTER in strangers:
        return
    if strangers - {"runs"} and not all(map(_VERSION.fullmatch, strangers - {"runs"})):
        raise StorageError(
            f"{root} is no folder of models: it holds {min(strangers)} but no {POINTER}; give "
            "the models a folder of their own, such as models/name"
        )


def _read_pointer(folder: Folder) -> Standing | None:
    try:
        content = unseal(folder.read(POINTER), f"{POINTER} in {folder}")
    except KeyMissingError:
        return None
    if content.get("format_version") != FORMAT_VERSION:
        raise UnknownFormatError(
            f"{POINTER} in {folder} has format version {content.get('format_version')}; this "
            f"program reads {FORMAT_VERSION}: use the version of gmm-dask that wrote it"
        )
    return Standing(
        content["current"],
        tuple(content["versions"]),
        content["looked"],
        tuple(content["decisions"]),
    )


def _kept(standing: Standing, version: str, where: str) -> str:
    if version not in standing.versions:
        listed = ", ".join(standing.versions) or "none"
        raise StorageError(f"{where} keeps no version {version!r}; kept are {listed}")
    return version


def _now() -> str:
    return datetime.fromtimestamp(int(time.time()), UTC).isoformat()
