"""Checkpoints that are whole or not there, on files and object stores alike.

    checkpoints/it-00000042/arrays-<token>.npz     write-once
                            state-<token>.json     write-once
                            MANIFEST.json          written last: its presence says "complete"
    checkpoints/shared/vector-<token>.npz          write-once: a large array of several checkpoints

The token is new with every save, so that neither the leftovers of a killed writer nor a writer
that has lost its lease can touch the files that a manifest names. The manifest holds lengths and
hashes of the files, the run's id, and a checksum of itself. Deleting goes the other way, manifest
first, and what is shared when no manifest names it any more.
"""

import hashlib
import re
import secrets
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmm_dask.runs.layout import CHECKPOINTS
from gmm_dask.runs.record import confirm_id, id_in, named
from gmm_dask.store.arrays import pack_arrays, unpack_arrays
from gmm_dask.store.errors import (
    DamagedCheckpointWarning,
    DamagedError,
    KeyExistsError,
    KeyMissingError,
    UnknownFormatError,
)
from gmm_dask.store.folder import Folder, create_or_confirm
from gmm_dask.store.sealed import from_json, seal, to_json, unseal

FORMAT_VERSION = 3
READABLE = (1, 2, 3)
"""In the first there were neither shared arrays nor triangles in place of symmetric matrices; in
the second no acceleration told whether it is careful."""
SHARED = "shared"
"""How names of arrays begin that do not change, and that the next checkpoint has again."""
SHARED_BYTES = 2**18
"""Smaller ones are no files of their own: many small files cost more than they save."""
_MANIFEST = re.compile(rf"{CHECKPOINTS}/it-(\d{{8,}})/MANIFEST\.json")
_FILE = re.compile(r"(arrays-[0-9a-f]+\.npz|state-[0-9a-f]+\.json)")
_VECTOR = re.compile(r"vector-[0-9a-f]+\.npz")
_ANY = re.compile(rf"({CHECKPOINTS}/it-\d{{8,}})/.*")


@dataclass(frozen=True)
class Checkpoint:
    """What a save was given; `state` went through JSON, `arrays` kept every bit.

    `shared` are the files of those arrays that have one of their own.
    """

    iteration: int
    state: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    shared: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A checkpoint as bytes: what its arrays become later does not touch it any more.

    Those that are shared do not change: they are written as they are, unless they were before.
    """

    iteration: int
    state: bytes
    arrays: bytes
    shared: dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Shelf:
    """The files of arrays that the newest checkpoint has shared with the one before."""

    files: dict[int, tuple[NDArray[Any], dict[str, Any]]] = field(default_factory=dict)

    def recall(self, checkpoint: Checkpoint) -> None:
        """Go on with the files of a checkpoint that was loaded."""
        for name, file in checkpoint.shared.items():
            array = checkpoint.arrays[name]
            self.files[id(array)] = array, file

    def put(self, folder: Folder, shared: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """What a manifest says of these arrays, once they are all written; others are forgotten."""
        described = {name: self._file_of(folder, array) for name, array in shared.items()}
        kept = {id(array) for array in shared.values()}
        for gone in self.files.keys() - kept:
            del self.files[gone]
        return described

    def _file_of(self, folder: Folder, array: NDArray[Any]) -> dict[str, Any]:
        if id(array) not in self.files:
            name, data = f"vector-{secrets.token_hex(6)}.npz", pack_arrays({"vector": array})
            create_or_confirm(folder, f"{_SHELF}/{name}", data)
            self.files[id(array)] = array, _described(name, data)
        return self.files[id(array)][1]


def take_snapshot(
    iteration: int, state: Mapping[str, object], arrays: Mapping[str, ArrayLike]
) -> Snapshot:
    """The bytes to be written; TypeError where something has no form without pickle."""
    if iteration < 0:
        raise ValueError(f"iteration {iteration} is negative")
    shared = {
        name: array
        for name, array in arrays.items()
        if name.startswith(SHARED)
        and isinstance(array, np.ndarray)
        and array.nbytes >= SHARED_BYTES
    }
    own = {name: array for name, array in arrays.items() if name not in shared}
    return Snapshot(iteration, to_json(state), pack_arrays(own), shared)


def write_snapshot(
    folder: Folder, snapshot: Snapshot, run_id: str | None = None, shelf: Shelf | None = None
) -> None:
    """Write a checkpoint of this run; on return it is durable and newest."""
    token = secrets.token_hex(6)
    files = {
        f"arrays-{token}.npz": snapshot.arrays,
        f"state-{token}.json": snapshot.state,
    }
    place = _place(snapshot.iteration)
    shared = (shelf or Shelf()).put(folder, snapshot.shared)
    for name, data in files.items():
        create_or_confirm(folder, f"{place}/{name}", data)
    described = {name.partition("-")[0]: _described(name, data) for name, data in files.items()}
    _write_manifest(folder, snapshot.iteration, {"files": described, "shared": shared}, run_id)


def complete_iterations(folder: Folder) -> list[int]:
    """The iterations whose checkpoint has a manifest, oldest first."""
    matches = (_MANIFEST.fullmatch(key) for key in folder.list(CHECKPOINTS))
    return sorted(int(match[1]) for match in matches if match)


def load_checkpoint(folder: Folder, iteration: int) -> Checkpoint:
    """One checkpoint, every byte checked; DamagedError names the file and what is wrong.

    OtherRunError where it is no checkpoint of the run in this folder.
    """
    place, run_id = _place(iteration), id_in(folder)
    try:
        manifest = _read_manifest(folder, iteration, run_id)
        files = manifest["files"]
        state, arrays = (_read_checked(folder, place, files[role]) for role in ("state", "arrays"))
        content = from_json(state)
        if not isinstance(content, dict):
            raise ValueError("its state is no object")
        unpacked = unpack_arrays(arrays, f"{place}/{files['arrays']['name']}")
        for name, file in manifest.get("shared", {}).items():
            data = _read_checked(folder, _SHELF, file)
            unpacked[name] = unpack_arrays(data, f"{_SHELF}/{file['name']}")["vector"]
    except KeyMissingError as error:
        raise DamagedError(f"{error} though its checkpoint is marked complete") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{place} is damaged: its files are not as it says ({error})") from error
    return Checkpoint(iteration, content, unpacked, manifest.get("shared", {}))


def load_newest(folder: Folder, upto: int | None = None) -> Checkpoint | None:
    """The newest undamaged checkpoint, up to an iteration if one is given; None if none was ever
    completed.

    A damaged one is reported by a DamagedCheckpointWarning and the one before is used. If all
    are damaged this raises: hours of work should not begin anew without a word, nor end as those
    of another run. One that is gone was not damaged: a driver at work deletes what is old, and what
    is new by then is listed again.
    """
    iterations = [one for one in complete_iterations(folder) if upto is None or one <= upto]
    for iteration in reversed(iterations):
        try:
            return load_checkpoint(folder, iteration)
        except DamagedError as error:
            if iteration not in complete_iterations(folder):
                return load_newest(folder, upto)
            message = f"{error}; the checkpoint before is used instead"
            warnings.warn(message, DamagedCheckpointWarning, stacklevel=2)
    if iterations:
        raise DamagedError(
            f"all {len(iterations)} checkpoints in {folder} are damaged: put back a copy, "
            "or begin anew with restart=True (--restart)"
        )
    return None


def keep(
    folder: Folder, last: int = 3, *, upto: int | None = None, spared: Collection[int] = ()
) -> None:
    """Delete all checkpoints but the newest `last`, those `spared`, and what killed writers left.

    The caller is the run's only writer: an incomplete checkpoint is taken for a leftover. What lies
    beyond `upto`, the iteration that it has reached, is none of its own, and takes nobody's place.
    """
    if last < 1:
        raise ValueError("at least one checkpoint must be kept")
    complete = complete_iterations(folder)
    beyond = [] if upto is None else [one for one in complete if one > upto]
    complete = complete[: len(complete) - len(beyond)]
    kept = {_place(iteration) for iteration in (*complete[-last:], *beyond, *spared)}
    listed = folder.list(CHECKPOINTS)
    places = {match[1] for match in map(_ANY.fullmatch, listed) if match}
    for place in sorted(places - kept):
        folder.delete(f"{place}/MANIFEST.json")
        folder.discard(place)
    _clear_shelf(folder, kept, [key for key in listed if key.startswith(f"{_SHELF}/")])


def _clear_shelf(folder: Folder, kept: Collection[str], shelved: Sequence[str]) -> None:
    """Delete shared arrays that no checkpoint names any more; all stay where one cannot be read."""
    named = set[str]()
    for place in kept if shelved else ():
        key = f"{place}/MANIFEST.json"
        try:
            shared = unseal(folder.read(key), key).get("shared", {})
            named |= {f"{_SHELF}/{file['name']}" for file in shared.values()}
        except KeyMissingError:
            continue
        except (DamagedError, AttributeError, KeyError, TypeError):
            return
    for key in shelved:
        if key not in named:
            folder.delete(key)


def _described(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _write_manifest(
    folder: Folder, iteration: int, described: Mapping[str, object], run_id: str | None
) -> None:
    content = {"format_version": FORMAT_VERSION, "iteration": iteration, **described}
    manifest = seal(named(content, run_id))
    key = f"{_place(iteration)}/MANIFEST.json"
    try:
        create_or_confirm(folder, key, manifest)
    except KeyExistsError:
        # This iteration once more, after its first checkpoint was found damaged: in one step,
        # so that there is never a moment without a manifest.
        folder.replace(key, manifest)


def _read_manifest(folder: Folder, iteration: int, run_id: str | None) -> dict[str, Any]:
    key = f"{_place(iteration)}/MANIFEST.json"
    manifest = unseal(folder.read(key), key)
    if manifest.get("format_version") not in READABLE:
        raise UnknownFormatError(
            f"{key} has format version {manifest.get('format_version')}; this program reads "
            f"{' and '.join(map(str, READABLE))}: use the version of gmm-dask that wrote it"
        )
    if manifest.get("iteration") != iteration:
        raise DamagedError(f"{key} is that of iteration {manifest.get('iteration')}")
    confirm_id(
        manifest,
        run_id,
        f"{_place(iteration)} in {folder} is a checkpoint of another run: take it away to go on "
        "from the one before, or begin anew with restart=True (--restart)",
    )
    return manifest


def _read_checked(folder: Folder, place: str, file: Mapping[str, Any]) -> bytes:
    key = f"{place}/{file['name']}"
    known = _VECTOR if place == _SHELF else _FILE
    if not known.fullmatch(str(file["name"])):
        raise DamagedError(f"{place} is damaged: {file['name']!r} is no file of a checkpoint")
    data = folder.read(key)
    if len(data) != file["bytes"]:
        raise DamagedError(f"{key} is damaged: {len(data)} bytes instead of {file['bytes']}")
    if hashlib.sha256(data).hexdigest() != file["sha256"]:
        raise DamagedError(f"{key} is damaged: its hash differs from the manifest's")
    return data


_SHELF = f"{CHECKPOINTS}/shared"


def _place(iteration: int) -> str:
    return f"{CHECKPOINTS}/it-{iteration:08d}"
