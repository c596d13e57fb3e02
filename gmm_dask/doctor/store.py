"""The place where a run is to be kept: can it be written, locked, and is there room?"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from gmm_dask.doctor.finding import Finding, bad, good, note
from gmm_dask.store.local_folder import LocalFolder
from gmm_dask.store.location import checked_name, open_folder
from gmm_dask.store.lock import FileLock

LITTLE_ROOM = 2**30


def writable(run: str) -> Iterator[Finding]:
    """Write, read and delete a small key beside the run, as checkpoints are written."""
    checked_name(run)
    parent = open_folder(run.rstrip("/").rpartition("/")[0] or ".")
    key = f"doctor-{secrets.token_hex(4)}"
    try:
        parent.create(key, b"well")
        same = parent.read(key) == b"well"
    finally:
        parent.delete(key)
    if not same:
        yield bad("run folder", f"{parent} gives back other bytes", "use another store")
        return
    yield good("run folder", f"{parent} can be written and read")
    if isinstance(parent, LocalFolder):
        yield from locks(parent.root)
        yield from room(parent.root)


def locks(folder: Path) -> Iterator[Finding]:
    """A lock keeps a second driver out of a run; some network file systems have none."""
    path = folder / f".doctor-{secrets.token_hex(4)}"
    try:
        FileLock.take(path).release()
        yield good("locks", "a second driver is kept out")
    finally:
        path.unlink(missing_ok=True)


def room(folder: Path) -> Iterator[Finding]:
    """Free space."""
    free = shutil.disk_usage(folder).free
    space = f"{free / 2**30:.1f} GiB free"
    if free < LITTLE_ROOM:
        yield note("disk", space, "checkpoints of large mixtures take 8·K·D² bytes each, thrice")
    else:
        yield good("disk", space)
