"""Which run a stored thing belongs to: an id that is drawn once, in run.json, and named elsewhere.

A run of an earlier version has none, and neither has what it stored.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from gmm_dask.runs.layout import RECORD
from gmm_dask.store.errors import KeyMissingError, OtherRunError
from gmm_dask.store.folder import Folder
from gmm_dask.store.sealed import unseal

FIELD = "run_id"


def new_id() -> str:
    """The id of a run that begins."""
    return secrets.token_hex(16)


def id_in(folder: Folder) -> str | None:
    """The id of the run in a folder; None where it has none, or where there is no run."""
    try:
        return unseal(folder.read(RECORD), RECORD).get(FIELD)
    except KeyMissingError:
        return None


def named(content: Mapping[str, object], run_id: str | None) -> dict[str, object]:
    """The content with the name of its run."""
    return {**content} if run_id is None else {**content, FIELD: run_id}


def confirm_id(content: Mapping[str, Any], run_id: str | None, refusal: str) -> None:
    """Refuse, in these words, what names another run than this, or none where it should."""
    if content.get(FIELD) != run_id:
        raise OtherRunError(refusal)
