"""What each iteration reported, one JSON line each, for people and dashboards that look on.

On files a line is appended as soon as it is told, so that `tail -f` shows it; in an object store,
where nothing can be appended to, lines gather until the next `sync` and make one object. Lines
of iterations after the checkpoint that a run resumes from are cut off, for they come again.
"""

import os
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from gmm_dask.runs.layout import BATCHES, HISTORY
from gmm_dask.store.errors import DamagedHistoryWarning, KeyMissingError, StorageError
from gmm_dask.store.folder import Folder, create_or_confirm
from gmm_dask.store.local_folder import LocalFolder
from gmm_dask.store.sealed import from_json, line_of_json


class History(Protocol):
    """Each iteration once, in order."""

    def append(self, iteration: int, entry: Mapping[str, object]) -> None:
        """Tell of an iteration."""

    def sync(self) -> None:
        """Make what was told durable."""

    def truncate(self, iteration: int | None) -> None:
        """Forget all iterations after this one; None forgets all."""

    def read(self) -> list[dict[str, Any]]:
        """All entries, each with its `iteration`."""

    def newest(self, count: int) -> list[dict[str, Any]]:
        """The last so many entries."""


class LocalHistory:
    """`history.jsonl` in a run folder on a disk."""

    def __init__(self, folder: LocalFolder) -> None:
        self._folder = folder
        self._path: Path = folder.root / HISTORY

    def append(self, iteration: int, entry: Mapping[str, object]) -> None:
        line = line_of_json({**entry, "iteration": iteration})
        try:
            with open(self._path, "ab", buffering=0, opener=_no_link) as file:
                end = file.tell()
                if file.write(line) != len(line):
                    file.truncate(end)
                    raise OSError("only a part of the line was written")
        except OSError as error:
            raise StorageError(f"{self._path} could not be written: {error}") from error

    def sync(self) -> None:
        if not self._path.exists():
            return
        try:
            with open(self._path, "rb") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"{self._path} could not be made durable: {error}") from error

    def truncate(self, iteration: int | None) -> None:
        # Replaced even when nothing is cut off: a torn last line must go before the next append.
        self._folder.replace(HISTORY, b"" if iteration is None else _up_to(iteration, self._data()))

    def read(self) -> list[dict[str, Any]]:
        return _entries(HISTORY, self._data())

    def newest(self, count: int) -> list[dict[str, Any]]:
        lines = self._data().rsplit(b"\n", count + 1)[-count - 1 : -1]
        return [entry for line in lines if (entry := _entry(line)) is not None]

    def _data(self) -> bytes:
        try:
            return self._folder.read(HISTORY)
        except KeyMissingError:
            return b""


class ObjectHistory:
    """`history/<first iteration>-<last>.jsonl`, one object per sync."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._pending: list[tuple[int, bytes]] = []
        self._lock = threading.Lock()  # appended to by the loop, synced by the writer's thread

    def append(self, iteration: int, entry: Mapping[str, object]) -> None:
        line = line_of_json({**entry, "iteration": iteration})
        with self._lock:
            self._pending.append((iteration, line))

    def sync(self) -> None:
        with self._lock:
            batch = list(self._pending)
        if not batch:
            return
        key = f"{BATCHES}/{batch[0][0]:08d}-{batch[-1][0]:08d}.jsonl"
        create_or_confirm(self._folder, key, b"".join(line for _, line in batch))
        with self._lock:
            del self._pending[: len(batch)]

    def truncate(self, iteration: int | None) -> None:
        with self._lock:
            self._pending.clear()
        for key in self._folder.list(BATCHES):
            first, last = (int(part) for part in key[len(BATCHES) + 1 : -6].split("-"))
            if iteration is None or first > iteration:
                self._folder.delete(key)
            elif last > iteration:
                self._shorten(key, first, iteration)

    def read(self) -> list[dict[str, Any]]:
        # By iteration: a resume that was killed may have left a shortened batch beside the whole.
        entries = {
            int(entry["iteration"]): entry
            for key in self._folder.list(BATCHES)
            for entry in _entries(key, self._folder.read(key))
        }
        return [entries[iteration] for iteration in sorted(entries)]

    def newest(self, count: int) -> list[dict[str, Any]]:
        entries: dict[int, dict[str, Any]] = {}
        for key in reversed(self._folder.list(BATCHES)):
            for entry in _entries(key, self._folder.read(key)):
                entries.setdefault(int(entry["iteration"]), entry)
            if len(entries) >= count:
                break
        return [entries[iteration] for iteration in sorted(entries)[-count:]]

    def _shorten(self, key: str, first: int, iteration: int) -> None:
        # Killed between the two, both are there: the longer one is shortened by the next resume.
        shorter = f"{BATCHES}/{first:08d}-{iteration:08d}.jsonl"
        self._folder.replace(shorter, _up_to(iteration, self._folder.read(key)))
        self._folder.delete(key)


def history_of(folder: Folder) -> History:
    """The history in a run's folder."""
    return LocalHistory(folder) if isinstance(folder, LocalFolder) else ObjectHistory(folder)


def _no_link(path: str, flags: int) -> int:
    """Opened where it is, not where a link leads."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _up_to(iteration: int, data: bytes) -> bytes:
    """The lines up to this iteration's. Read from the end, for a history may have a million."""
    end = data.rfind(b"\n") + 1
    while end:
        begin = data.rfind(b"\n", 0, end - 1) + 1
        entry = _entry(data[begin : end - 1])
        if entry is not None and int(entry["iteration"]) <= iteration:
            break
        end = begin
    return data[:end]


def _entries(key: str, data: bytes) -> list[dict[str, Any]]:
    """The whole lines; a last one without its end was torn by a kill and is not told of."""
    entries = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        entry = _entry(line)
        if entry is None:
            message = f"{key} line {number} is damaged and left out"
            warnings.warn(message, DamagedHistoryWarning, stacklevel=3)
        else:
            entries.append(entry)
    return entries


def _entry(line: bytes) -> dict[str, Any] | None:
    """What a line tells; None where it is damaged."""
    try:
        entry: dict[str, Any] = from_json(line)
        int(entry["iteration"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
    return entry
