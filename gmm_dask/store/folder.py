"""A folder of durable, write-once keys: all that checkpoints know of where they lie.

Knows nothing of files or object stores; `local_folder.py` and `object_folder.py` are the two kinds.
"""

import re
from collections.abc import Callable
from typing import Protocol

from gmm_dask.store.errors import KeyExistsError, StorageError

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


class Folder(Protocol):
    """Keys are relative, parts joined by `/`; a prefix is one or more whole parts, or empty."""

    def within(self, prefix: str) -> "Folder":
        """The folder below a prefix of this one."""

    def read(self, key: str) -> bytes:
        """The bytes; KeyMissingError if there are none."""

    def create(self, key: str, data: bytes) -> None:
        """Write once; on return the bytes outlive a power cut. KeyExistsError if present."""

    def replace(self, key: str, data: bytes) -> None:
        """Write or replace: readers see the old bytes or the new ones, never a mixture."""

    def exists(self, key: str) -> bool:
        """Whether the key is there."""

    def list(self, prefix: str = "") -> list[str]:
        """All keys under the prefix, sorted; nothing half-written is among them."""

    def delete(self, key: str) -> None:
        """Remove a key for good; it need not be there."""

    def discard(self, prefix: str) -> None:
        """Remove all that lies under the prefix, half-written things too; in no order."""


def check_key(key: str) -> str:
    """The key itself, if every part is a plain name, so that none leads out of the folder."""
    if not all(_PART.fullmatch(part) for part in key.split("/")):
        raise StorageError(f"{key!r} is no key: parts are letters, digits and . _ - only")
    return key


def create_or_confirm(folder: Folder, key: str, data: bytes) -> None:
    """Create, taking the same bytes already there for our own.

    An object store that loses the answer to a write is asked again, and then finds the key
    that the first request made.
    """
    try:
        folder.create(key, data)
    except KeyExistsError:
        if folder.read(key) != data:
            raise


class GuardedFolder:
    """A folder that asks before every change whether it may still be changed."""

    def __init__(self, folder: Folder, confirm: Callable[[], None]) -> None:
        self._folder, self._confirm = folder, confirm

    def __str__(self) -> str:
        return str(self._folder)

    def within(self, prefix: str) -> "GuardedFolder":
        return GuardedFolder(self._folder.within(prefix), self._confirm)

    def read(self, key: str) -> bytes:
        return self._folder.read(key)

    def exists(self, key: str) -> bool:
        return self._folder.exists(key)

    def list(self, prefix: str = "") -> list[str]:
        return self._folder.list(prefix)

    def create(self, key: str, data: bytes) -> None:
        self._confirm()
        self._folder.create(key, data)

    def replace(self, key: str, data: bytes) -> None:
        self._confirm()
        self._folder.replace(key, data)

    def delete(self, key: str) -> None:
        self._confirm()
        self._folder.delete(key)

    def discard(self, prefix: str) -> None:
        self._confirm()
        self._folder.discard(prefix)
