"""Checkpoints that are whole or not there, on files and object stores alike.

    checkpoints/it-00000042/arrays-<token>.npz     write-once
                            state-<token>.json     write-once
                            MANIFEST.json          written last: its presence says "complete"

The token is new with every save, so that neither the leftovers of a killed writer nor a writer
that has lost its lease can touch the files that a manifest names. The manifest holds lengths and
hashes of the files, the run's id, and a checksum of itself. Deleting goes the other way, manifest
first.
"""

import hashlib
import re
import secrets
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from gmm_dask.store.arrays import pack_arrays, unpack_arrays
from gmm_dask.store.errors import (
    DamagedCheckpointWarning,
    DamagedError,
    KeyExistsError,
    KeyMissingError,
    UnknownFormatError,
)
from gmm_dask.store.folder import Folder, create_or_confirm
from gmm_dask.store.identity import confirm_id, id_in, named
from gmm_dask.store.sealed import from_json, seal, to_json, unseal

FORMAT_VERSION = 1
ROOM = "checkpoints"
_MANIFEST = re.compile(rf"{ROOM}/it-(\d{{8,}})/MANIFEST\.json")
_FILE = re.compile(r"(arrays-[0-9a-f]+\.npz|state-[0-9a-f]+\.json)")
_ANY = re.compile(rf"({ROOM}/it-\d{{8,}})/.*")


@dataclass(frozen=True)
class Checkpoint:
    """What a save was given; `state` went through JSON, `arrays` kept every bit."""

    iteration: int
    state: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint as bytes: what its arrays become later does not touch it any more."""

    iteration: int
    state: bytes
    arrays: bytes


def take_snapshot(
    iteration: int, state: Mapping[str, object], arrays: Mapping[str, NDArray[Any]]
) -> Snapshot:
    """The bytes to be written; TypeError where something has no form without pickle."""
    if iteration < 0:
        raise ValueError(f"iteration {iteration} is negative")
    return Snapshot(iteration, to_json(state), pack_arrays(arrays))


def write_snapshot(folder: Folder, snapshot: Snapshot, run_id: str | None = None) -> None:
    """Write a checkpoint of this run; on return it is durable and newest."""
    token = secrets.token_hex(6)
    files = {
        f"arrays-{token}.npz": snapshot.arrays,
        f"state-{token}.json": snapshot.state,
    }
    place = _place(snapshot.iteration)
    for name, data in files.items():
        create_or_confirm(folder, f"{place}/{name}", data)
    _write_manifest(folder, snapshot.iteration, files, run_id)


def complete_iterations(folder: Folder) -> list[int]:
    """The iterations whose checkpoint has a manifest, oldest first."""
    found = (_MANIFEST.fullmatch(key) for key in folder.list(ROOM))
    return sorted(int(match[1]) for match in found if match)


def load_checkpoint(folder: Folder, iteration: int) -> Checkpoint:
    """One checkpoint, every byte checked; DamagedError names the file and what is wrong.

    OtherRunError where it is no checkpoint of the run in this folder.
    """
    place, run_id = _place(iteration), id_in(folder)
    try:
        files = _read_manifest(folder, iteration, run_id)
        state, arrays = (_read_checked(folder, place, files[role]) for role in ("state", "arrays"))
        content = from_json(state)
        if not isinstance(content, dict):
            raise ValueError("its state is no object")
    except KeyMissingError as error:
        raise DamagedError(f"{error} though its checkpoint is marked complete") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{place} is damaged: its files are not as it says ({error})") from error
    return Checkpoint(
        iteration, content, unpack_arrays(arrays, f"{place}/{files['arrays']['name']}")
    )


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
    places = {match[1] for match in map(_ANY.fullmatch, folder.list(ROOM)) if match}
    for place in sorted(places - kept):
        folder.delete(f"{place}/MANIFEST.json")
        folder.discard(place)


def _write_manifest(
    folder: Folder, iteration: int, files: Mapping[str, bytes], run_id: str | None
) -> None:
    described = {
        name.partition("-")[0]: {
            "name": name,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        for name, data in files.items()
    }
    content = {"format_version": FORMAT_VERSION, "iteration": iteration, "files": described}
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
    if manifest.get("format_version") != FORMAT_VERSION:
        raise UnknownFormatError(
            f"{key} has format version {manifest.get('format_version')}; this program reads "
            f"{FORMAT_VERSION}: use the version of gmm-dask that wrote it"
        )
    if manifest.get("iteration") != iteration:
        raise DamagedError(f"{key} is that of iteration {manifest.get('iteration')}")
    confirm_id(
        manifest,
        run_id,
        f"{_place(iteration)} in {folder} is a checkpoint of another run: take it away to go on "
        "from the one before, or begin anew with restart=True (--restart)",
    )
    files: dict[str, Any] = manifest["files"]
    return files


def _read_checked(folder: Folder, place: str, file: Mapping[str, Any]) -> bytes:
    key = f"{place}/{file['name']}"
    if not _FILE.fullmatch(str(file["name"])):
        raise DamagedError(f"{place} is damaged: {file['name']!r} is no file of a checkpoint")
    data = folder.read(key)
    if len(data) != file["bytes"]:
        raise DamagedError(f"{key} is damaged: {len(data)} bytes instead of {file['bytes']}")
    if hashlib.sha256(data).hexdigest() != file["sha256"]:
        raise DamagedError(f"{key} is damaged: its hash differs from the manifest's")
    return data


def _place(iteration: int) -> str:
    return f"{ROOM}/it-{iteration:08d}"
