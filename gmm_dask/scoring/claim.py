"""Getting hold of a place for scores: its lock or lease, its record, and what was there before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gmm_dask.store.errors import KeyExistsError, KeyMissingError, StorageError
from gmm_dask.store.folder import Folder, create_or_confirm
from gmm_dask.store.lease import Lease
from gmm_dask.store.local_folder import LocalFolder
from gmm_dask.store.lock import FileLock, Lock
from gmm_dask.store.object_folder import ObjectFolder
from gmm_dask.store.sealed import from_json, seal, to_json, unseal

FORMAT, FORMAT_VERSION = "gmm-dask scores", 1
RECORD, ROOT = "_scoring.json", "zarr.json"
LOCK = ".lock"


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


def sealed_record(record: Mapping[str, object]) -> bytes:
    """What is being written, as it is kept."""
    return seal({"format": FORMAT, "format_version": FORMAT_VERSION, **record})


def check_free(folder: Folder, sealed: bytes, *, overwrite: bool) -> None:
    """Refuse a place of others, and scores that differ unless they are to be overwritten."""
    stored, _ = _present(folder)
    if stored is None:
        _check_place(folder)
    elif not overwrite:
        _refuse_differences(folder, stored, record_in(sealed))


def begin(folder: Folder, sealed: bytes, *, overwrite: bool) -> None:
    """Write the record, or go on with what is there; finished scores only to overwrite them."""
    given = record_in(sealed)
    stored, complete = _present(folder)
    if stored is None:
        _check_place(folder)
        try:
            create_or_confirm(folder, RECORD, sealed)
        except KeyExistsError:  # another driver came first
            begin(folder, sealed, overwrite=overwrite)
        return
    if "clearing" in stored:  # an overwriting that was interrupted
        _clear(folder, stored["clearing"], sealed)
        return
    if not overwrite:
        _refuse_differences(folder, stored, given)
    elif complete or _differences(stored, given):
        _clear(folder, [*stored["arrays"], *given["arrays"]], sealed)


def locked(folder: LocalFolder | ObjectFolder, time_to_live: float) -> Lock:
    """Keep other drivers out."""
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
        return record_in(folder.read(RECORD)), False
    attributes = attributes_of(folder)
    return attributes, attributes is not None


def attributes_of(folder: Folder) -> dict[str, Any] | None:
    """Of scores that are complete."""
    try:
        attributes: dict[str, Any] = from_json(folder.read(ROOT))["attributes"]
    except (KeyMissingError, ValueError, KeyError, TypeError):
        return None
    ours = isinstance(attributes, dict) and attributes.get("format") == FORMAT
    return attributes if ours else None


def record_in(sealed: bytes) -> dict[str, Any]:
    """What is being written: model, data and options."""
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
    folder.delete(ROOT)
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
