"""A folder on a local disk, where a write that has returned outlives a power cut.

Bytes go to a temporary file, are synced, and get their name last; then the directory is synced,
for without that the name itself may be lost.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gmm_dask.store.errors import DamagedError, KeyExistsError, KeyMissingError, StorageError
from gmm_dask.store.folder import check_key

_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


class LocalFolder:
    """Keys as files below one directory, which is made by the first write."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()
        self._synced: set[Path] = set()

    def __str__(self) -> str:
        return str(self.root)

    def within(self, prefix: str) -> "LocalFolder":
        return LocalFolder(self._path(prefix))

    def read(self, key: str) -> bytes:
        path = self._path(key)
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise KeyMissingError(f"{key} is missing in {self.root}") from error
        except OSError as error:
            if error.errno == errno.EIO:
                raise DamagedError(f"{key} is damaged: the disk cannot read {path}") from error
            raise StorageError(f"{key} could not be read from {path}: {error}") from error

    def create(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with self._explained(key), self._written(path, data) as temporary:
            _give_name(temporary, path)

    def replace(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with self._explained(key), self._written(path, data) as temporary:
            os.rename(temporary, path)

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def list(self, prefix: str = "") -> list[str]:
        top = self._path(prefix) if prefix else self.root
        keys = []
        for parent, folders, names in os.walk(top, onerror=_unlisted):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inside = Path(parent).relative_to(self.root)
            keys += [(inside / name).as_posix() for name in names if not name.startswith(".")]
        return sorted(keys)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._explained(key), suppress(FileNotFoundError):
            path.unlink()
            sync_directory(path.parent)

    def discard(self, prefix: str) -> None:
        path = self._path(prefix)
        with self._explained(prefix), suppress(FileNotFoundError):
            shutil.rmtree(path)
            self._synced = {kept for kept in self._synced if not kept.is_relative_to(path)}
            sync_directory(path.parent)

    def _path(self, key: str) -> Path:
        path = self.root / check_key(key)
        # The root may be a link, as its owner wishes; one below it would lead elsewhere.
        for parent in path.parents[: key.count("/")]:
            if _is_link(parent):
                raise StorageError(
                    f"{parent} is a link to elsewhere, and nothing is read or written through it: "
                    "put the folder itself in its place"
                )
        return path

    @contextmanager
    def _written(self, path: Path, data: bytes) -> Iterator[Path]:
        """A synced temporary file beside `path`, for the body to give its name to."""
        self._make(path.parent)
        temporary = path.parent / f".tmp-{secrets.token_hex(8)}"
        try:
            _write_synced(temporary, data)
            yield temporary
        finally:
            # After a rename it is gone already; after an error its removal may fail as well.
            with suppress(OSError):
                temporary.unlink()
        sync_directory(path.parent)

    def _make(self, directory: Path) -> None:
        """Make a directory and those above it, each with its name synced.

        One that is there may have been made by a process that was killed before its sync: so
        every directory up to the root is synced once, made or found.
        """
        present = directory.is_dir()
        if present and directory in self._synced:
            return
        if directory.is_relative_to(self.root) or not present:
            self._make(directory.parent)
            if not present:
                _make_directory(directory)
            sync_directory(directory.parent)
        self._synced.add(directory)

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileExistsError as error:
            raise KeyExistsError(f"{key} exists already in {self.root}") from error
        except OSError as error:
            raise StorageError(
                f"{key} could not be written in {self.root}: {error.strerror or error}. "
                "What was acknowledged before is whole; make room or mend the disk, then resume."
            ) from error


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError as error:
        raise StorageError(f"{path} cannot be looked at: {error.strerror}") from error


def _unlisted(error: OSError) -> None:
    """A directory that is not there holds nothing; of one that cannot be read nobody knows.

    Left out without a word, the newest checkpoint would be taken for one that is not there, and
    the older ones kept in its place.
    """
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise StorageError(f"{error.filename} cannot be listed: {error.strerror}") from error


def sync_directory(directory: Path) -> None:
    """Make the names in a directory outlive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot, and say so thus
            raise
    finally:
        os.close(descriptor)


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir()
    except FileExistsError as error:
        if not directory.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{directory} is no directory") from error


def _write_synced(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _give_name(temporary: Path, path: Path) -> None:
    """Name a file without replacing another: FileExistsError if the name is taken."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # No hard links here: the run's lock keeps others out between the look and the rename.
        if path.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(path)) from error
        os.rename(temporary, path)
