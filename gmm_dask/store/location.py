"""Where things are kept: a path or a URL becomes a folder; names that are none are refused."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from gmm_dask.store.addresses import AddressError, is_url, open_store, path_of, split_url
from gmm_dask.store.errors import StorageError
from gmm_dask.store.local_folder import LocalFolder
from gmm_dask.store.object_folder import ObjectFolder

Location = str | os.PathLike[str]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OBJECT_STORES = {"s3", "s3a", "gs", "az", "abfs", "abfss"}


def open_folder(where: Location) -> LocalFolder | ObjectFolder:
    """The folder at a local path, a `file://` URL or an object store's URL."""
    text = os.fspath(where)
    with _refused():
        path = path_of(text)
        if path is not None:
            return LocalFolder(path)
        scheme = split_url(text).scheme
        if scheme in _OBJECT_STORES:
            return ObjectFolder(open_store(text), text.rstrip("/"))
    known = ", ".join(sorted(_OBJECT_STORES | {"file"}))
    raise StorageError(f"{scheme}:// is not a place to write to: use a path, or {known}")


def checked_name(where: Location) -> str:
    """The last part of a location, if it is a proper name for a run or a model."""
    text = os.fspath(where).rstrip("/")
    with _refused():
        name = split_url(text).path if is_url(text) else text
    name = name.rpartition("/")[2]
    if not _NAME.fullmatch(name):
        raise StorageError(
            f"{name!r} is no name for a run or model: it begins with a letter or digit, then up "
            "to 63 letters, digits and . _ -"
        )
    return name


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except AddressError as problem:
        raise StorageError(str(problem)) from None
