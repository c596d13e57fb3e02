"""A lease in an object store: one holder, taken over only when nothing is heard of it."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gmm_dask import Configuration, Fit, fit
from gmm_dask.chunked.rows import Rows, open_rows
from gmm_dask.fitting.run_loop import Conduct, carry_out
from gmm_dask.fitting.starts import Starts
from gmm_dask.mixture.iteration import EMState
from gmm_dask.models.model import Model, load_model
from gmm_dask.models.versions import open_versions
from gmm_dask.runs.checkpoint import load_newest
from gmm_dask.runs.folder import RunFolder, open_run
from gmm_dask.store.errors import LeaseLostError, RunIsBusy
from gmm_dask.store.folder import Folder
from gmm_dask.store.lease import Lease
from gmm_dask.store.location import open_folder
from gmm_dask.store.object_folder import ObjectFolder
from gmm_dask.store.processes import is_dead, this_process
from gmm_dask.store.sealed import seal
from tests.store.dying import mixture
from tests.store.unruly import BUCKET, unruly

pytestmark = pytest.mark.timed

TIME_TO_LIVE = 1.0

SAVER = """
import itertools, sys, time
from gmm_dask.store.errors import LeaseLostError
from gmm_dask.runs.folder import RunFolder, open_run
from tests.runs.saving import save_checkpoint
run = open_run(sys.argv[1], configuration={}, fingerprint={}, seed=1, time_to_live=1.0)
print("holding", flush=True)
try:
    for iteration in itertools.count(1):
        save_checkpoint(run.folder, iteration, {"by": "first"}, {})
        time.sleep(0.05)
except LeaseLostError as error:
    print(error)
"""


@pytest.fixture
def folder(s3_bucket: str) -> ObjectFolder:
    folder = open_folder(f"{s3_bucket}/{secrets.token_hex(4)}/run")
    assert isinstance(folder, ObjectFolder)
    return folder


def take(folder: ObjectFolder) -> Lease | None:
    try:
        return Lease.take(folder, TIME_TO_LIVE)
    except RunIsBusy:
        return None


def race(folder: ObjectFolder) -> Lease:
    """Eight at once: exactly one has it."""
    with ThreadPoolExecutor(8) as threads:
        leases = [lease for lease in threads.map(take, [folder] * 8) if lease]
    assert len(leases) == 1
    return leases[0]


def test_epochs_increase_and_exactly_one_of_many_has_each(folder: ObjectFolder) -> None:
    for epoch in (1, 2, 3):
        lease = race(folder)
        assert lease.epoch == epoch
        lease.confirm()
        keys = {f"lease/{epoch:08d}.json", f"lease/{epoch:08d}.beat.json"}
        assert {key for key in folder.list("lease") if "now" not in key} <= keys
        lease.release()
        lease.release()


def test_stopped_holder_is_taken_over_and_writes_no_more(s3_bucket: str) -> None:
    where = f"{s3_bucket}/{secrets.token_hex(4)}/run"
    with subprocess.Popen(
        [sys.executable, "-c", SAVER, where], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        time.sleep(TIME_TO_LIVE + 1.5)
        with pytest.raises(RunIsBusy, match=f"process {holder.pid} on .* Wait for it or end it"):
            begin(where)  # its beats keep the lease alive
        holder.send_signal(signal.SIGSTOP)
        time.sleep(TIME_TO_LIVE + 2)
        with begin(where) as run:
            found = load_newest(run.folder)
            assert found is not None
            holder.send_signal(signal.SIGCONT)
            told, _ = holder.communicate(timeout=20)
            assert "another driver took this run over" in told
            newest = load_newest(run.folder)
            assert newest is not None
            # A request that was on its way when the holder was stopped may have arrived since.
            assert newest.iteration - found.iteration in (0, 1)


def begin(where: str) -> RunFolder:
    return open_run(where, configuration={}, fingerprint={}, seed=1, time_to_live=TIME_TO_LIVE)


def test_lost_lease_stops_every_kind_of_change(s3_bucket: str) -> None:
    where = f"{s3_bucket}/{secrets.token_hex(4)}/run"
    with begin(where) as run:
        folder = open_folder(where)
        folder.create("lease/00000002.json", b"somebody else's")
        before = folder.list()
        for change in (
            lambda: run.folder.create("a", b""),
            lambda: run.folder.replace("a", b""),
            lambda: run.folder.delete("run.json"),
            lambda: run.folder.discard("checkpoints"),
            lambda: run.keep_profile({}),
            lambda: run.keep_sample({}),
            lambda: run.keep_configuration(""),
            lambda: run.keep_performance_report(b""),
            lambda: run.finish({}),
        ):
            with pytest.raises(LeaseLostError, match="took this run over"):
                change()
        assert folder.list() == before
        folder.delete("lease/00000002.json")
        with pytest.raises(LeaseLostError):  # once lost, lost
            run.finish({})


def taken_over(folder: Folder) -> None:
    """Another driver has the next epoch."""
    folder.create("lease/00000009.json", b"somebody else's")


@dataclass(frozen=True, eq=False)
class Losing(Starts):
    """A plan whose driver loses its run after the last checkpoint, before the model is written."""

    where: str = ""

    def conclude(self, state: EMState, rows: Rows, history: Sequence[dict[str, Any]]) -> Fit:
        taken_over(open_folder(self.where))
        return super().conclude(state, rows, history)


def test_who_has_lost_a_run_leaves_its_model_alone(s3_bucket: str) -> None:
    where = f"{s3_bucket}/{secrets.token_hex(4)}/run"
    rows = open_rows(np.random.default_rng(0).normal(size=(200, 2)))
    fit(rows, Configuration(3), run=where)
    conduct = Conduct(run=where, restart=True)
    with pytest.raises(LeaseLostError, match="took this run over"):
        carry_out(Losing(Configuration(2), where=where), rows, conduct)
    assert load_model(f"{where}/model.zarr").mixture.components == 3


class Names(tuple[str, ...]):
    """Names of features; while they are written down, another process takes the models over."""

    where = ""

    def __iter__(self) -> Iterator[str]:
        taken_over(open_folder(self.where))
        return super().__iter__()


def test_who_has_lost_the_models_writes_no_version(s3_bucket: str) -> None:
    where = f"{s3_bucket}/{secrets.token_hex(4)}/models"
    names = Names(("a", "b"))
    names.where = where
    with open_versions(where) as versions:
        with pytest.raises(LeaseLostError, match="took this run over"):
            versions.promote(Model(mixture(2), names, {}), {}, {}, {}, keep=3)
        assert [key for key in open_folder(where).list() if not key.startswith("lease/")] == []


def test_slow_claimant_of_a_past_epoch_does_not_have_the_run(folder: ObjectFolder) -> None:
    first = race(folder)
    first.release()
    second = race(folder)  # clears the key of epoch 1, so that it can be created once more
    with pytest.raises(RunIsBusy):
        Lease(folder, first.epoch, TIME_TO_LIVE)._claim()
    second.confirm()
    second.release()


def test_a_holder_that_could_not_say_that_it_has_let_go_knows_it() -> None:
    with unruly() as proxy:
        folder = open_folder(f"{BUCKET}/run")
        assert isinstance(folder, ObjectFolder)
        for how in ("503", "expired"):
            lease = Lease.take(folder)
            with pytest.raises(RunIsBusy):  # held here, and alive
                Lease.take(folder)
            with proxy.during(how):
                lease.release()
            began = time.monotonic()
            Lease.take(folder).release()
            assert time.monotonic() - began < 5


def from_elsewhere(folder: ObjectFolder, time_to_live: float) -> None:
    """The lease of a driver of another machine, of which nothing more is heard."""
    nobody = {**this_process(), "host": "elsewhere", "machine": "another", "nonce": "0"}
    folder.create("lease/00000001.json", seal({**nobody, "time_to_live": time_to_live}))


def test_a_lease_that_may_be_a_dead_drivers_is_waited_out(
    folder: ObjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="gmm_dask")
    from_elsewhere(folder, time_to_live=2.0)
    began = time.monotonic()
    lease = Lease.take(folder, TIME_TO_LIVE)
    assert 1 < time.monotonic() - began < 8
    assert lease.epoch == 2
    assert f"waiting for a sign of life of process {os.getpid()} on elsewhere" in caplog.text
    lease.release()


def test_the_first_sign_of_life_ends_the_wait(folder: ObjectFolder) -> None:
    from_elsewhere(folder, time_to_live=60.0)
    with ThreadPoolExecutor(1) as threads:
        taking = threads.submit(Lease.take, folder)
        time.sleep(2)  # its clock tells whole seconds
        folder.replace("lease/00000001.beat.json", seal({"released": False}))
        with pytest.raises(RunIsBusy, match="on elsewhere"):
            taking.result(timeout=20)


def test_a_lease_of_an_earlier_version_is_understood(folder: ObjectFolder) -> None:
    told = {"host": "here", "pid": 1, "time_to_live": 1.0, "nonce": "0"}
    folder.create("lease/00000001.json", seal(told))
    lease = Lease.take(folder, TIME_TO_LIVE)
    assert lease.epoch == 2
    lease.release()


def test_a_dead_process_is_told_from_others() -> None:
    us = this_process()
    with subprocess.Popen([sys.executable, "-c", ""]) as other:
        while not is_dead({**us, "pid": other.pid, "started": None}):
            time.sleep(0.01)  # until it is at least a zombie
    assert not is_dead(us)
    assert is_dead({**us, "started": 1})  # its number was given again
    assert is_dead({**us, "pid": other.pid})
    for unknown in ({**us, "machine": "another"}, {**us, "machine": None}, {"pid": other.pid}):
        assert not is_dead({**unknown, "pid": other.pid})
    for number in (10**30, -1, 0, None, "1"):
        assert not is_dead({**us, "pid": number})
