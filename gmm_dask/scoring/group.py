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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.arrays import Array
from gmm_dask.scoring.array import ScoreArray
from gmm_dask.scoring.claim import (
    RECORD,
    ROOT,
    attributes_of,
    begin,
    check_free,
    locked,
    record_in,
    sealed_record,
)
from gmm_dask.store.addresses import absolute
from gmm_dask.store.errors import KeyExistsError, KeyMissingError, StorageError
from gmm_dask.store.folder import Folder, create_or_confirm
from gmm_dask.store.lease import TIME_TO_LIVE
from gmm_dask.store.local_folder import LocalFolder
from gmm_dask.store.location import Location, checked_name, open_folder
from gmm_dask.store.lock import Lock
from gmm_dask.store.object_folder import ObjectFolder
from gmm_dask.store.sealed import to_json

_READ_AT_ONCE = 16


@dataclass(frozen=True)
class ScoreGroup:
    """A group at a path or URL; pickles as such, and workers write to it from wherever they run."""

    where: str
    record: bytes

    @classmethod
    def at(cls, where: Location, record: Mapping[str, object], *, overwrite: bool) -> ScoreGroup:
        """The group, with nothing written.

        Refuses what is not ours, and scores that differ unless they are to be overwritten.
        """
        checked_name(where)
        group = cls(absolute(str(where).rstrip("/")), sealed_record(record))
        check_free(group.folder, group.record, overwrite=overwrite)
        return group

    @contextmanager
    def held(self, *, overwrite: bool, time_to_live: float = TIME_TO_LIVE) -> Iterator[Lock]:
        """Begin the group, or take it up again, with other drivers kept out: RunIsBusy for them.

        Finished scores are written anew if they are to be overwritten, interrupted ones of the
        same record resumed. `time_to_live`: see `open_run`.
        """
        lock = locked(self.folder, time_to_live)
        try:
            begin(self.folder, self.record, overwrite=overwrite)
            yield lock
        finally:
            lock.remove()

    @property
    def folder(self) -> LocalFolder | ObjectFolder:
        return open_folder(self.where)

    def finished(self) -> dict[str, Any] | None:
        """The attributes of the group once it is complete."""
        return attributes_of(self.folder)

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
        if attributes_of(folder) is not None:
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
        whole = {}
        for row in rows:
            try:
                whole[row] = np.asarray(stored[row])
            except (ValueError, RuntimeError):  # its checksum differs: to be done again
                continue
        return whole

    def describe_arrays(self, arrays: Iterable[ScoreArray]) -> None:
        """Make arrays of chunks that are all there."""
        for array in arrays:
            self.folder.replace(f"{array.name}/{ROOT}", array.metadata())

    def keep(self, files: Mapping[str, bytes]) -> None:
        """Write arrays that are whole already."""
        folder = self.folder
        for key, data in files.items():
            folder.replace(key, data)

    def finish(self, attributes: Mapping[str, object]) -> None:
        """Write the group's metadata, and with it all is complete."""
        folder = self.folder
        self.confirm(folder)
        stored = {**record_in(self.record), "complete": True, **attributes}
        group = {"zarr_format": 3, "node_type": "group", "attributes": stored}
        folder.replace(ROOT, to_json(group))
        folder.delete(RECORD)

    def reopen(self, arrays: Iterable[ScoreArray]) -> None:
        """Take completeness back, for chunks that have gone since."""
        folder = self.folder
        create_or_confirm(folder, RECORD, self.record)
        folder.delete(ROOT)
        for array in arrays:
            folder.delete(f"{array.name}/{ROOT}")
