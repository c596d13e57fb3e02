"""A local directory that appears in one step, and replaces another in one step."""

import ctypes
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gmm_dask.store.errors import KeyExistsError, StorageError
from gmm_dask.store.local_folder import sync_directory

_AT_FDCWD, _RENAME_NOREPLACE, _RENAME_EXCHANGE = -100, 1, 2


@contextmanager
def replaced_directory(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """A path beside the target for the body to fill; it gets the target's name at the end.

    A killed process leaves `.tmp-<name>-...` beside the target, which nobody takes for it.
    """
    if target.exists() and not overwrite:
        raise KeyExistsError(f"{target} exists already; overwrite=True replaces it")
    temporary = target.with_name(f".tmp-{target.name}-{secrets.token_hex(4)}")
    try:
        yield temporary
        if target.exists() and overwrite:
            _exchange(temporary, target)
        else:
            _rename(temporary, target)
        sync_directory(target.parent)
    except OSError as error:
        raise StorageError(f"{target} could not be written: {error}") from error
    except StorageError as error:
        if isinstance(error, KeyExistsError):
            raise
        raise StorageError(f"{target} could not be written: {error}") from error.__cause__
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # or what the target was before


def _rename(temporary: Path, target: Path) -> None:
    try:
        _rename_with(temporary, target, _RENAME_NOREPLACE)
    except FileExistsError as error:
        raise KeyExistsError(f"{target} exists already; overwrite=True replaces it") from error


def _exchange(temporary: Path, target: Path) -> None:
    _rename_with(temporary, target, _RENAME_EXCHANGE)


def _rename_with(source: Path, target: Path, flags: int) -> None:
    """Linux's renameat2; where there is none, two renames, between which the target is away."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        code = errno.ENOSYS
    else:
        arguments = (os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags)
        code = rename(_AT_FDCWD, *arguments) and ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL):
        _rename_in_two_steps(source, target, flags)
    elif code:
        raise OSError(code, os.strerror(code), str(target))


def _rename_in_two_steps(source: Path, target: Path, flags: int) -> None:
    if flags == _RENAME_NOREPLACE:
        if target.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(target))
        os.rename(source, target)
        return
    aside = source.with_name(f"{source.name}-old")
    os.rename(target, aside)
    os.rename(source, target)
    os.rename(aside, source)
