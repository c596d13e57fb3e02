"""One driver at a time in a local folder: a lock that dies with its holder."""

import errno
import fcntl
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from gmm_dask.store.errors import RunIsBusy, StorageError

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
"""What NFS without its lock daemon says, FUSE without locks, and Lustre mounted without flock."""


class Lock(Protocol):
    """What keeps a second driver out."""

    def confirm(self) -> None:
        """Raise LeaseLostError if another driver has taken over."""

    def release(self) -> None:
        """Let others in; may be called again."""

    def remove(self) -> None:
        """Let others in, and leave nothing of the lock behind."""


class FileLock:
    """`flock` on a file: the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor: int | None = descriptor
        self._path = path

    @classmethod
    def take(cls, path: Path) -> "FileLock":
        """Take the lock at once, or raise RunIsBusy naming its holder."""
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            try:
                _lock_now(descriptor, path)
                if _is_still(descriptor, path):
                    _sign(descriptor)
                    return cls(descriptor, path)
            except BaseException:
                os.close(descriptor)
                raise
            # The folder was moved aside between opening and locking: this is the old one's lock.
            os.close(descriptor)

    def confirm(self) -> None:
        """Nobody takes this lock over while its holder lives."""

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove(self) -> None:
        if self._descriptor is not None:
            # While it is held: whoever has opened it meanwhile finds that it is not there any more.
            with suppress(OSError):
                self._path.unlink()
            self.release()


def _lock_now(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder: dict[str, Any] = {"host": "an unnamed host", "pid": None}
        with suppress(ValueError):  # the holder may be signing at this very moment
            holder |= json.loads(os.pread(descriptor, 4096, 0))
        raise RunIsBusy(str(path.parent), holder["host"], holder["pid"]) from error
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise StorageError(
                f"{path}: this file system has no locks, so two processes could write here at "
                "once; keep runs and scores on another, or in an object store"
            ) from error
        raise


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(descriptor: int) -> None:
    holder = json.dumps({"host": socket.gethostname(), "pid": os.getpid()})
    # A full disk keeps nobody from holding the lock, only from being named as its holder.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)
