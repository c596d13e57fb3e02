"""What a run was begun with: written once, and held against what it is asked to go on with.

Its id is drawn once, and named by whatever the run stores: a run of an earlier version has none,
and neither has what it stored.
"""

import importlib.metadata
import platform
import secrets
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gmm_dask.mixture.compilation import compiler
from gmm_dask.runs.layout import RECORD
from gmm_dask.store.errors import (
    DamagedError,
    KeyExistsError,
    KeyMissingError,
    OtherRunError,
    OtherVersionsWarning,
    RunDiffersError,
    UnknownFormatError,
)
from gmm_dask.store.folder import Folder, create_or_confirm
from gmm_dask.store.sealed import from_json, seal, to_json, unseal

FORMAT_VERSION = 1
RUN_ID = "run_id"


@dataclass(frozen=True)
class RunRecord:
    """What a run was begun with."""

    configuration: dict[str, Any]
    fingerprint: dict[str, Any]
    seed: int | None
    versions: dict[str, Any]
    run_id: str | None = None


def new_record(
    configuration: Mapping[str, object],
    fingerprint: Mapping[str, object],
    seed: int | None,
    versions: Mapping[str, object] | None,
) -> RunRecord:
    """The record of a run that begins now, as it will be read again."""
    return RunRecord(
        from_json(to_json(configuration)),
        from_json(to_json(fingerprint)),
        seed,
        from_json(to_json(_installed() if versions is None else versions)),
        secrets.token_hex(16),
    )


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
    content.setdefault(RUN_ID, None)
    return RunRecord(**{name: content[name] for name in (*fields, RUN_ID)})


def begin_or_compare(folder: Folder, given: RunRecord) -> RunRecord:
    """The given record, once written; else the one that is there, if it is of the same run."""
    record = seal({"format_version": FORMAT_VERSION, **vars(given)})
    try:
        create_or_confirm(folder, RECORD, record)
    except KeyExistsError:
        stored = read_record(folder)
        _refuse_differences(str(folder), stored, given)
        _warn_of_versions(str(folder), stored, given)
        return stored
    return given


def id_in(folder: Folder) -> str | None:
    """The id of the run in a folder; None where it has none, or where there is no run."""
    try:
        return unseal(folder.read(RECORD), RECORD).get(RUN_ID)
    except KeyMissingError:
        return None


def named(content: Mapping[str, object], run_id: str | None) -> dict[str, object]:
    """The content with the name of its run."""
    return {**content} if run_id is None else {**content, RUN_ID: run_id}


def confirm_id(content: Mapping[str, Any], run_id: str | None, refusal: str) -> None:
    """Refuse, in these words, what names another run than this, or none where it should."""
    if content.get(RUN_ID) != run_id:
        raise OtherRunError(refusal)


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
