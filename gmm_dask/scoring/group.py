"""Scores as a Zarr v3 group that is not there, as far as Zarr knows, until all of it is.

    scores/_scoring.json         what is being written: model, data, options; gone when finished
          /labels/c/17           chunks, in any order, each written whole and durable
          /block_statistics/c/17/0    counts of block 17; written last: its presence says "done"
          /labels/zarr.json ...  metadata of arrays, when all their chunks are there
          /zarr.json             metadata of the group, last of all: it says "complete"

There is no rename in an object store, so chunks have their final keys from the beginning, and it is
metadata that makes them an array. Nothing is appended or changed in place: a chunk is one file
that appears whole, or one put. Whoever goes on finds by listing what is still missing.

One driver at a time, by a lock on files and a lease in object stores, of which nothing is left when
it ends. Workers hold neither, and may outlive their driver: they look at the record before they
write, and write what is not there yet, so that one who looked too early changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.arrays import Array
from gmm_dask.scoring.array import ScoreArray
from gmm_dask.store.errors import KeyExistsError, KeyMissingError, StorageError
from gmm_dask.store.folder import Folder, create_or_confirm
from gmm_dask.store.lease import TIME_TO_LIVE, Lease
from gmm_dask.store.local import LocalFolder
from gmm_dask.store.location import Location, checked_name, open_folder
from gmm_dask.store.lock import FileLock, Lock
from gmm_dask.store.objects import ObjectFolder
from gmm_dask.store.sealed import from_json, seal, to_json, unseal

FORMAT, FORMAT_VERSION = "gmm-dask scores", 1
RECORD, _ROOT = "_scoring.json", "zarr.json"
LOCK = ".lock"
_READ_AT_ONCE = 16


class ScoresDifferError(StorageError):
    """The place holds scores by another model, of other data or with other options."""

    def __init__(self, where: str, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        listing = "\n".join(f"  {difference}" for difference in differences)
        super().__init__(
            f"{where} holds scores that differ from these (stored -> given):\n{listing}\n"
            "Give what they were begun with to resume them, another name to write beside them, "
            "or overwrite=True to replace them."
        )


@dataclass(frozen=True)
class ScoreGroup:
    """A group at a path or URL; pickles as such, so that workers write to it themselves."""

    where: str
    record: bytes

    @classmethod
    def at(cls, where: Location, record: Mapping[str, object], *, overwrite: bool) -> ScoreGroup:
        """The group, with nothing written.

        Refuses what is not ours, and scores that differ unless they are to be overwritten.
        """
        checked_name(where)
        sealed = seal({"format": FORMAT, "format_version": FORMAT_VERSION, **record})
        group = cls(str(where).rstrip("/"), sealed)
        stored, _ = _present(group.folder)
        if stored is None:
            _check_place(group.folder)
        elif not overwrite:
            _refuse_differences(group.folder, stored, _record(sealed))
        return group

    @contextmanager
    def held(self, *, overwrite: bool, time_to_live: float = TIME_TO_LIVE) -> Iterator[Lock]:
        """Begin the group, or take it up again, with other drivers kept out: RunIsBusy for them.

        Finished scores are written anew if they are to be overwritten, interrupted ones of the
        same record resumed. `time_to_live`: see `open_run`.
        """
        lock = _locked(self.folder, time_to_live)
        try:
            _begin(self.folder, self.record, overwrite)
            yield lock
        finally:
            lock.remove()

    @property
    def folder(self) -> LocalFolder | ObjectFolder:
        return open_folder(self.where)

    def finished(self) -> dict[str, Any] | None:
        """The attributes of the group once it is complete."""
        return _attributes(self.folder)

    def missing(self, arrays: Sequence[ScoreArray], cuts: Sequence[int]) -> list[int]:
        """Which blocks [cuts[i], cuts[i+1]) lack a chunk in one of these arrays."""
        folder = self.folder
        keys = {key for array in arrays for key in folder.list(array.name)}
        return [
            i
            for i, (first, last) in enumerate(pairwise(cuts))
            if not all(key in keys for array in arrays for key in array.keys(first, last))
        ]

    def write(self, first: int, columns: Mapping[ScoreArray, NDArray[Any]]) -> None:
        """Write the chunks of some rows; on return they are durable."""
        folder = self.folder
        self.confirm(folder)

        def write_one(array: ScoreArray) -> None:
            for key, data in array.encode(first, columns[array]).items():
                self._write(folder, key, data)

        # Most of it is waiting for a disk or for a network: for all arrays at once.
        with ThreadPoolExecutor(len(columns)) as pool:
            list(pool.map(write_one, columns))

    def _write(self, folder: Folder, key: str, data: bytes) -> None:
        """Write a chunk that is not there; one that is, and differs, was damaged or is another's.

        Whoever has taken the place over since `confirm` may have written it by now.
        """
        try:
            create_or_confirm(folder, key, data)
        except KeyExistsError:
            self.confirm(folder)
            folder.replace(key, data)

    def confirm(self, folder: Folder) -> None:
        """Raise unless this very group is being written here.

        Else a worker without the driver's disk would write to its own, and one that is late
        into what was begun in the meantime.
        """
        try:
            present = folder.read(RECORD)
        except KeyMissingError as error:
            raise StorageError(self._gone(folder)) from error
        if present != self.record:
            raise StorageError(f"{self.where} was overwritten by others; these scores are given up")

    def _gone(self, folder: Folder) -> str:
        if _attributes(folder) is not None:
            return f"{self.where} was finished by others meanwhile; these scores are given up"
        return (
            f"{self.where} is not there for this worker, or not any more: scores need a place that "
            "all workers and this process share"
        )

    def read_single(self, array: ScoreArray, rows: Sequence[int]) -> dict[int, Array]:
        """Those of these rows whose chunk, of one row, is whole."""
        folder = self.folder
        keys = [key for row in rows for key in array.keys(row, row + 1)]
        with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
            stored = array.decode(dict(zip(keys, pool.map(folder.read, keys), strict=True)))
        found = {}
        for row in rows:
            try:
                found[row] = np.asarray(stored[row])
            except (ValueError, RuntimeError):  # its checksum differs: to be done again
                continue
        return found

    def describe_arrays(self, arrays: Iterable[ScoreArray]) -> None:
        """Make arrays of chunks that are all there."""
        for array in arrays:
            self.folder.replace(f"{array.name}/{_ROOT}", array.metadata())

    def finish(self, attributes: Mapping[str, object]) -> None:
        """Write the group's metadata, and with it all is complete."""
        folder = self.folder
        self.confirm(folder)
        stored = {**_record(self.record), "complete": True, **attributes}
        group = {"zarr_format": 3, "node_type": "group", "attributes": stored}
        folder.replace(_ROOT, to_json(group))
        folder.delete(RECORD)

    def reopen(self, arrays: Iterable[ScoreArray]) -> None:
        """Take completeness back, for chunks that have gone since."""
        folder = self.folder
        create_or_confirm(folder, RECORD, self.record)
        folder.delete(_ROOT)
        for array in arrays:
            folder.delete(f"{array.name}/{_ROOT}")


def _begin(folder: Folder, sealed: bytes, overwrite: bool) -> None:
    given = _record(sealed)
    stored, complete = _present(folder)
    if stored is None:
        _check_place(folder)
        try:
            create_or_confirm(folder, RECORD, sealed)
        except KeyExistsError:  # another driver came first
            _begin(folder, sealed, overwrite)
        return
    if "clearing" in stored:  # an overwriting that was interrupted
        _clear(folder, stored["clearing"], sealed)
        return
    if not overwrite:
        _refuse_differences(folder, stored, given)
    elif complete or _differences(stored, given):
        _clear(folder, [*stored["arrays"], *given["arrays"]], sealed)


def _locked(folder: LocalFolder | ObjectFolder, time_to_live: float) -> Lock:
    if not isinstance(folder, LocalFolder):
        return Lease.take(folder, time_to_live)
    try:
        folder.root.mkdir(exist_ok=True)
        return FileLock.take(folder.root / LOCK)
    except OSError as error:
        raise _unfit(folder.root, error) from error


def _present(folder: Folder) -> tuple[dict[str, Any] | None, bool]:
    """The record of what is here, and whether it is complete."""
    if folder.exists(RECORD):
        return _record(folder.read(RECORD)), False
    attributes = _attributes(folder)
    return attributes, attributes is not None


def _attributes(folder: Folder) -> dict[str, Any] | None:
    try:
        attributes: dict[str, Any] = from_json(folder.read(_ROOT))["attributes"]
    except (KeyMissingError, ValueError, KeyError, TypeError):
        return None
    ours = isinstance(attributes, dict) and attributes.get("format") == FORMAT
    return attributes if ours else None


def _record(sealed: bytes) -> dict[str, Any]:
    return unseal(sealed, RECORD)


def _refuse_differences(
    folder: Folder, stored: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    differences = _differences(stored, given)
    if differences and "clearing" not in stored:
        raise ScoresDifferError(str(folder), differences)


def _check_place(folder: Folder) -> None:
    """Scores begin in an empty place, below one that exists."""
    names = _local_names(folder.root) if isinstance(folder, LocalFolder) else folder.list()
    strangers = [
        name for name in names if name != LOCK and not name.startswith((".tmp-", "lease/"))
    ]
    if strangers:
        raise StorageError(
            f"{folder} holds {strangers[0]}, which is no part of scores by gmm-dask: give the "
            "scores a name of their own"
        )


def _local_names(root: Path) -> list[str]:
    try:
        if not root.parent.is_dir():
            raise StorageError(f"there is no folder {root.parent}: create it first")
        if not root.exists():
            return []
        return sorted(path.name for path in root.iterdir())
    except OSError as error:
        raise _unfit(root, error) from error


def _unfit(root: Path, error: OSError) -> StorageError:
    return StorageError(f"{root} cannot hold scores: {error.strerror or error}")


def _clear(folder: Folder, arrays: Iterable[str], sealed: bytes) -> None:
    """Remove scores and begin anew; until then the place stays ours, whenever this is killed."""
    names = sorted(set(arrays))
    folder.replace(RECORD, seal({"clearing": names}))
    folder.delete(_ROOT)
    for name in names:
        folder.discard(name)
    folder.replace(RECORD, sealed)


def _differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    before, now = _leaves(stored), _leaves({key: given[key] for key in given})
    absent = "(absent)"
    return [
        f"{name}: {before.get(name, absent)!r} -> {value!r}"
        for name, value in now.items()
        if to_json(before.get(name, absent)) != to_json(value)
    ]


def _leaves(value: object, name: str = "") -> dict[str, object]:
    if not isinstance(value, Mapping):
        return {name: value}
    parts = (_leaves(item, f"{name}.{key}".lstrip(".")) for key, item in value.items())
    return {leaf: item for part in parts for leaf, item in part.items()}


def digest_of(*parts: bytes) -> str:
    """A name for these bytes."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
