"""Where things are kept: a path or a URL becomes a folder; bad names and passwords are refused."""

import os
import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from gmm_dask.store.errors import StorageError
from gmm_dask.store.local import LocalFolder
from gmm_dask.store.objects import ObjectFolder, open_object_folder

Location = str | os.PathLike[str]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OBJECT_STORES = {"s3", "s3a", "gs", "az", "abfs", "abfss"}


def open_folder(where: Location) -> LocalFolder | ObjectFolder:
    """The folder at a local path, a `file://` URL or an object store's URL."""
    text = os.fspath(where)
    if "://" not in text:
        return _local(text)
    parts = _split_url(text)
    if parts.scheme == "file":
        return _local(unquote(parts.path))
    if parts.scheme in _OBJECT_STORES:
        return open_object_folder(text)
    known = ", ".join(sorted(_OBJECT_STORES | {"file"}))
    raise StorageError(f"{parts.scheme}:// is not a place to write to: use a path, or {known}")


def checked_name(where: Location) -> str:
    """The last part of a location, if it is a proper name for a run or a model."""
    text = os.fspath(where).rstrip("/")
    name = _split_url(text).path if "://" in text else text
    name = name.rpartition("/")[2]
    if not _NAME.fullmatch(name):
        raise StorageError(
            f"{name!r} is no name for a run or model: it begins with a letter or digit, then up "
            "to 63 letters, digits and . _ -"
        )
    return name


def _local(path: str) -> LocalFolder:
    try:
        if "\0" in path:
            raise ValueError("it has a NUL")
        return LocalFolder(Path(path).expanduser())
    except (RuntimeError, ValueError) as error:  # no such user's home
        raise StorageError(f"{path!r} is no path: {error}") from error


def _split_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise StorageError(f"the address is no URL: {error}") from None
    if parts.username is not None or parts.password is not None:
        # The address itself is left out: what is refused here must not land in a log.
        raise StorageError(
            f"the {parts.scheme}:// address carries a user or password; leave it out and give "
            "credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...)"
        )
    if parts.query or parts.fragment:
        raise StorageError(f"the {parts.scheme}:// address carries a query: give the plain address")
    return parts
