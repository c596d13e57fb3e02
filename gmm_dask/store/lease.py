"""One driver at a time where there is no lock that dies with its holder: a lease.

    lease/00000007.json         write-once: who holds epoch 7, and for how long without a beat
    lease/00000007.beat.json    written again and again while the holder lives

Whoever creates the next epoch has the run. A lease that may be a dead driver's is waited for until
it runs out or its holder is heard of; where its holder has let go of it or is known to be dead, it
is free at once. Ages are told by the store's own clock, so the clocks of the machines need not
agree. A holder that finds a higher epoch stops before its next write; a request already on its way
may still arrive after that, which checkpoints are made to bear.
"""

import logging
import re
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gmm_dask.store.errors import KeyExistsError, LeaseLostError, RunIsBusy, StorageError
from gmm_dask.store.folder import create_or_confirm
from gmm_dask.store.object_folder import ObjectFolder
from gmm_dask.store.processes import is_dead, this_process
from gmm_dask.store.retries import waiting_for
from gmm_dask.store.sealed import seal, unseal

logger = logging.getLogger("gmm_dask")

TIME_TO_LIVE = 30.0
"""Seconds without a sign of life after which a lease may be taken over."""
BEATS, LOOKS, TRIES = 4, 8, 16
"""In that time: how often a holder writes, how often who waits looks, and how often a holder tries
that cannot write."""
WATCHED = 1 / 6
"""Of that time: how long at least a lease is looked at that has run out. After an outage of the
store its holder may just not have been able to write."""
LEAVES_WITHIN = 5.0

_EPOCH = re.compile(r"lease/(\d{8})(\.beat)?\.json")
_CLOCK_GRAIN = 1.0  # object stores tell times in whole seconds
_HELD: set[str] = set()
_LET_GO: set[str] = set()
"""The leases that this process holds, and those that it has let go of, whether or not their stores
have heard of it."""


@dataclass(frozen=True)
class _Holder:
    epoch: int
    process: Mapping[str, Any]
    heard: float
    age: float
    released: bool

    @property
    def time_to_live(self) -> float:
        return float(self.process["time_to_live"])

    @property
    def is_gone(self) -> bool:
        """Nobody will beat for this epoch any more."""
        return self.released or self.process["nonce"] in _LET_GO or is_dead(self.process)

    @property
    def is_here(self) -> bool:
        """This very process has it."""
        return self.process["nonce"] in _HELD

    @property
    def left(self) -> float:
        """Seconds until it has run out."""
        return self.time_to_live + _CLOCK_GRAIN - self.age


class Lease:
    """A held lease, renewed by a thread of its own."""

    def __init__(self, folder: ObjectFolder, epoch: int, time_to_live: float) -> None:
        self._folder, self.epoch, self._time_to_live = folder, epoch, time_to_live
        self._nonce = secrets.token_hex(8)
        self._ended = threading.Event()
        self._lost = False
        self._renewal = threading.Thread(target=self._renew, name="lease", daemon=True)

    @classmethod
    def take(cls, folder: ObjectFolder, time_to_live: float = TIME_TO_LIVE) -> "Lease":
        """Take the lease once it is free or has run out; RunIsBusy once its holder is heard of."""
        holder = _current_holder(folder)
        if holder and not holder.is_gone:
            holder = _outlived(folder, holder)
        lease = cls(folder, holder.epoch + 1 if holder else 1, time_to_live)
        lease._claim()
        _HELD.add(lease._nonce)
        lease._renewal.start()
        return lease

    def confirm(self) -> None:
        """Raise LeaseLostError if another holder was ever seen: a higher epoch, or ours gone."""
        self._confirm_in(self._folder)

    def _confirm_in(self, folder: ObjectFolder) -> None:
        self._lost = self._lost or max(_epochs(folder), default=0) != self.epoch
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
            folder = self._folder.impatient()
            with suppress(StorageError):
                self._confirm_in(folder)
                folder.delete(_key(self.epoch, ".beat"))
                folder.delete(_key(self.epoch))

    def _end(self) -> bool:
        """End the renewal; whether it was not ended before."""
        if self._ended.is_set():
            return False
        self._ended.set()
        _HELD.discard(self._nonce)
        _LET_GO.add(self._nonce)
        if self._renewal.ident is not None:
            self._renewal.join(LEAVES_WITHIN)
        return True

    def _claim(self) -> None:
        content = {**this_process(), "time_to_live": self._time_to_live, "nonce": self._nonce}
        try:
            create_or_confirm(self._folder, _key(self.epoch), seal(content))
            # Slow claimants may find their epoch's key free again, cleared by a later holder.
            self.confirm()
        except (KeyExistsError, LeaseLostError) as error:
            holder = _current_holder(self._folder)
            raise _busy(self._folder, holder.process if holder else {}) from error
        for epoch in set(_epochs(self._folder)) - {self.epoch}:
            self._folder.delete(_key(epoch))
            self._folder.delete(_key(epoch, ".beat"))

    def _renew(self) -> None:
        pause = self._time_to_live / BEATS
        while not self._ended.wait(pause):
            try:
                self._confirm_in(self._folder.impatient())
                self._beat(released=False)
                pause = self._time_to_live / BEATS
            except LeaseLostError:
                return
            except StorageError:
                # An outage: the next write tells of it, and after it there is no time to lose.
                pause = self._time_to_live / TRIES

    def _beat(self, *, released: bool) -> None:
        beat = seal({"released": released})
        self._folder.impatient().replace(_key(self.epoch, ".beat"), beat)


def _outlived(folder: ObjectFolder, first: _Holder) -> _Holder | None:
    """The last holder, once its lease has run out; None if it was removed."""
    if first.is_here:
        raise _busy(folder, first.process)
    who = f"process {first.process['pid']} on {first.process['host']}, which holds {folder}"
    grace = first.time_to_live * WATCHED
    end = max(first.left, grace)
    logger.info("waiting for a sign of life of %s, for %.0f s at most", who, end)
    began, holder = time.monotonic(), first
    with waiting_for(who, end):
        while not holder.is_gone:
            if (holder.epoch, holder.heard) > (first.epoch, first.heard):
                raise _busy(folder, holder.process)
            left = max(holder.left, began + grace - time.monotonic())
            if left <= 0:
                return holder
            time.sleep(min(left, holder.time_to_live / LOOKS))
            current = _current_holder(folder)
            if current is None:
                return None
            holder = current
    return holder


def _busy(folder: ObjectFolder, process: Mapping[str, Any]) -> RunIsBusy:
    return RunIsBusy(str(folder), process.get("host", "an unnamed host"), process.get("pid"))


def _key(epoch: int, kind: str = "") -> str:
    return f"lease/{epoch:08d}{kind}.json"


def _epochs(folder: ObjectFolder) -> list[int]:
    return [int(match[1]) for match in map(_EPOCH.fullmatch, folder.list("lease")) if match]


def _current_holder(folder: ObjectFolder) -> _Holder | None:
    # The age of the last sign of life is told by an object written just now, by the same clock.
    probe = f"lease/now-{secrets.token_hex(8)}"
    folder.replace(probe, b"")
    times = folder.times("lease")
    folder.delete(probe)
    epochs = [int(match[1]) for match in map(_EPOCH.fullmatch, times) if match]
    if not epochs:
        return None
    epoch = max(epochs)
    beat = _key(epoch, ".beat")
    heard = max(times.get(beat, 0.0), times.get(_key(epoch), 0.0))
    return _Holder(
        epoch,
        unseal(folder.read(_key(epoch)), _key(epoch)),
        heard,
        age=times[probe] - heard,
        released=beat in times and unseal(folder.read(beat), beat)["released"],
    )
