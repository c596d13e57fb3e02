"""Getting hold of a run folder: its lock or lease, and putting an old run aside."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gmm_dask.runs.history import History, LocalHistory, ObjectHistory
from gmm_dask.runs.layout import RECORD
from gmm_dask.store.errors import StorageError
from gmm_dask.store.folder import Folder, GuardedFolder
from gmm_dask.store.lease import Lease
from gmm_dask.store.local_folder import LocalFolder, sync_directory
from gmm_dask.store.location import Location, checked_name, open_folder
from gmm_dask.store.lock import FileLock, Lock
from gmm_dask.store.object_folder import ObjectFolder

LOCK = ".lock"
_ATTEMPT = re.compile(r"attempt-(\d{8})/(.*)")


@dataclass(frozen=True)
class Claim:
    """A run that is ours until the lock is released; its model lies in `home`, above attempts."""

    home: Folder
    folder: Folder
    lock: Lock
    history: History


def claim_run(where: Location, *, restart: bool, time_to_live: float) -> Claim:
    """Take the run at a path or URL."""
    checked_name(where)
    folder = open_folder(where)
    if isinstance(folder, LocalFolder):
        return _claim_local(folder, restart)
    return _claim_object(folder, restart, time_to_live)


def find_run(where: Location) -> Folder | None:
    """The folder of a run's present attempt, without claiming it."""
    folder = open_folder(where)
    if isinstance(folder, LocalFolder):
        return folder if folder.exists(RECORD) else None
    attempts = _attempts(folder)
    return folder.within(_attempt_name(attempts[-1])) if attempts else None


def _claim_local(folder: LocalFolder, restart: bool) -> Claim:
    lock = _lock_local(folder)
    try:
        # A while, for another driver may begin and end a run between putting aside and locking.
        while restart and folder.exists(RECORD):
            _put_aside(folder.root)
            old, lock = lock, _lock_local(folder)
            old.release()
    except BaseException:
        lock.release()
        raise
    return Claim(folder, folder, lock, LocalHistory(folder))


def _lock_local(folder: LocalFolder) -> FileLock:
    root = folder.root
    for left in reversed(range(100)):
        try:
            root.mkdir(parents=True, exist_ok=True)
            _refuse_strangers(root)
            return FileLock.take(root / LOCK)
        except OSError as error:
            # Another driver's restart may move the folder aside between these lines: once more.
            moved = isinstance(error, FileExistsError | FileNotFoundError) and not root.is_file()
            if not (moved and left):
                raise StorageError(f"{root} cannot be used as a run folder: {error}") from error
    raise AssertionError("the loop ends by return or raise")


def _refuse_strangers(root: Path) -> None:
    with suppress(FileNotFoundError):
        strangers = {path.name for path in root.iterdir() if not path.name.startswith(".")}
        # Looked for last, for a run that is being begun has its lock before anything else.
        if strangers and RECORD not in strangers and not (root / LOCK).exists():
            raise StorageError(
                f"{root} is no run folder: it holds {min(strangers)} but no {RECORD}; give the "
                "run a name of its own"
            )


def _put_aside(root: Path) -> None:
    number = 1
    while (aside := root.with_name(f"{root.name}.old-{number}")).exists():
        number += 1
    os.rename(root, aside)
    sync_directory(root.parent)


def _claim_object(folder: ObjectFolder, restart: bool, time_to_live: float) -> Claim:
    lease = Lease.take(folder, time_to_live)
    try:
        number = max(_attempts(folder), default=0)
        # An attempt without a record was never begun: its number is used again.
        attempt = number + 1 if restart or number == 0 else number
        home = GuardedFolder(folder, lease.confirm)
        guarded = home.within(_attempt_name(attempt))
    except BaseException:
        lease.release()
        raise
    return Claim(home, guarded, lease, ObjectHistory(guarded))


def _attempts(folder: ObjectFolder) -> list[int]:
    matches = (_ATTEMPT.fullmatch(key) for key in folder.list())
    return sorted(int(match[1]) for match in matches if match and match[2] == RECORD)


def _attempt_name(number: int) -> str:
    return f"attempt-{number:08d}"
