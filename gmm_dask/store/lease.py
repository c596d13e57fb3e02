"""One driver at a time where there is no lock that dies with its holder: a lease.

    lease/00000007.json         write-once: who holds epoch 7, and for how long without a beat
    lease/00000007.beat.json    written again and again while the holder lives

Whoever creates the next epoch has the run. Ages are told by the store's own clock, so the clocks
of the machines need not agree. A holder that finds a higher epoch stops before its next write;
a request already on its way may still arrive after that, which checkpoints are made to bear.
"""

import os
import re
import secrets
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass

from gmm_dask.store.errors import KeyExistsError, LeaseLostError, RunIsBusy, StorageError
from gmm_dask.store.folder import create_or_confirm
from gmm_dask.store.objects import ObjectFolder
from gmm_dask.store.sealed import seal, unseal

_EPOCH = re.compile(r"lease/(\d{8})(\.beat)?\.json")
_CLOCK_GRAIN = 1.0  # object stores tell times in whole seconds


@dataclass(frozen=True)
class _Holder:
    epoch: int
    host: str
    pid: int
    time_to_live: float
    age: float
    released: bool

    @property
    def retry_after(self) -> float:
        return 0.0 if self.released else self.time_to_live + _CLOCK_GRAIN - self.age


class Lease:
    """A held lease, renewed by a thread of its own."""

    def __init__(self, folder: ObjectFolder, epoch: int, time_to_live: float) -> None:
        self._folder, self.epoch, self._time_to_live = folder, epoch, time_to_live
        self._ended = threading.Event()
        self._lost = False
        self._renewal = threading.Thread(target=self._renew, name="lease", daemon=True)

    @classmethod
    def take(cls, folder: ObjectFolder, time_to_live: float = 60.0) -> "Lease":
        """Take the lease if it is free or has run out, else raise RunIsBusy at once."""
        holder = _current_holder(folder)
        if holder is not None and holder.retry_after > 0:
            raise RunIsBusy(str(folder), holder.host, holder.pid, holder.retry_after)
        lease = cls(folder, holder.epoch + 1 if holder else 1, time_to_live)
        lease._claim()
        lease._renewal.start()
        return lease

    def confirm(self) -> None:
        """Raise LeaseLostError if another holder was ever seen: a higher epoch, or ours gone."""
        self._lost = self._lost or max(_epochs(self._folder), default=0) != self.epoch
        if self._lost:
            raise LeaseLostError(
                f"{self._folder}: another driver took this run over, because nothing was heard "
                f"of this one for {self._time_to_live:g} s; it stops without writing any more"
            )

    def release(self) -> None:
        if self._end():
            with suppress(StorageError):  # unreleased, it runs out by itself
                self._beat(released=True)

    def remove(self) -> None:
        if self._end():
            with suppress(StorageError):
                self.confirm()
                self._folder.delete(_key(self.epoch, ".beat"))
                self._folder.delete(_key(self.epoch))

    def _end(self) -> bool:
        """End the renewal; whether it was not ended before."""
        if self._ended.is_set():
            return False
        self._ended.set()
        if self._renewal.ident is not None:
            self._renewal.join()
        return True

    def _claim(self) -> None:
        content = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "time_to_live": self._time_to_live,
            "nonce": secrets.token_hex(8),
        }
        try:
            create_or_confirm(self._folder, _key(self.epoch), seal(content))
            # Slow claimants may find their epoch's key free again, cleared by a later holder.
            self.confirm()
        except (KeyExistsError, LeaseLostError) as error:
            holder = _current_holder(self._folder)
            host, pid = (holder.host, holder.pid) if holder else ("an unnamed host", None)
            raise RunIsBusy(str(self._folder), host, pid, self._time_to_live) from error
        for epoch in set(_epochs(self._folder)) - {self.epoch}:
            self._folder.delete(_key(epoch))
            self._folder.delete(_key(epoch, ".beat"))

    def _renew(self) -> None:
        while not self._ended.wait(self._time_to_live / 4):
            try:
                self.confirm()
                self._beat(released=False)
            except LeaseLostError:
                return
            except StorageError:
                continue  # an outage: tried again, and the next write tells of it

    def _beat(self, *, released: bool) -> None:
        self._folder.replace(_key(self.epoch, ".beat"), seal({"released": released}))


def _key(epoch: int, kind: str = "") -> str:
    return f"lease/{epoch:08d}{kind}.json"


def _epochs(folder: ObjectFolder) -> list[int]:
    return [int(match[1]) for match in map(_EPOCH.fullmatch, folder.list("lease")) if match]


def _current_holder(folder: ObjectFolder) -> _Holder | None:
    # The age of the last sign of life is told by an object written just now, by the same clock.
    probe = f"lease/now-{secrets.token_hex(8)}"
    folder.create(probe, b"")
    times = folder.times("lease")
    folder.delete(probe)
    epochs = [int(match[1]) for match in map(_EPOCH.fullmatch, times) if match]
    if not epochs:
        return None
    epoch = max(epochs)
    beat = _key(epoch, ".beat")
    content = unseal(folder.read(_key(epoch)), _key(epoch))
    return _Holder(
        epoch,
        content["host"],
        content["pid"],
        content["time_to_live"],
        age=times[probe] - max(times.get(beat, 0.0), times[_key(epoch)]),
        released=beat in times and unseal(folder.read(beat), beat)["released"],
    )
