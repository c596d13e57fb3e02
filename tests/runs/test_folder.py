"""A run belongs to one driver, one configuration and one set of data."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gmm_dask.runs.checkpoint import complete_iterations
from gmm_dask.runs.folder import RunFolder, open_run
from gmm_dask.runs.view import look_at_run
from gmm_dask.store.errors import (
    DamagedError,
    DamagedHistoryWarning,
    KeyExistsError,
    LostWarning,
    OtherRunError,
    OtherVersionsWarning,
    RunDiffersError,
    RunIsBusy,
    StorageError,
)
from gmm_dask.store.folder import Folder
from gmm_dask.store.sealed import seal, unseal
from tests.runs.saving import save_checkpoint

GIVEN: dict[str, Any] = {
    "configuration": {"components": 4, "stopping": {"tolerance": 1e-3, "passes": (1, 2)}},
    "fingerprint": {"shape": [1000, 8], "mean": [0.5, float("nan")]},
    "seed": 7,
}

HOLDER = """
import sys, time
from tests.runs.test_folder import GIVEN
from gmm_dask.runs.folder import open_run
run = open_run(sys.argv[1], **GIVEN, time_to_live=float(sys.argv[2]))
print("holding", flush=True)
time.sleep(60)
"""


def begin(where: str, **changes: Any) -> RunFolder:
    return open_run(where, **{**GIVEN, **changes})


def test_begun_closed_and_taken_up_again(where: str) -> None:
    with begin(where) as run:
        assert run.resume() is None
        run.history.append(1, {})
        run.history.sync()
        save_checkpoint(run.folder, 1, {"x": 1}, {"a": np.ones(2)})
        assert run.record.configuration["stopping"]["passes"] == [1, 2]
        assert "numpy" in run.record.versions
    with begin(where) as run:
        checkpoint = run.resume()
        assert checkpoint is not None
        assert checkpoint.iteration == 1
        assert str(run).startswith(where)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"configuration": {"components": 4}}, "configuration.stopping: {"),
        (
            {"configuration": {"components": 5, "stopping": GIVEN["configuration"]["stopping"]}},
            "configuration.components: 4 -> 5\n",
        ),
        (
            {"configuration": {**GIVEN["configuration"], "new": None}},
            "configuration.new: '(absent)' -> None\n",
        ),
        (
            {"fingerprint": {"shape": [1001, 8], "mean": [0.5, float("nan")]}},
            "fingerprint.shape: [1000, 8] -> [1001, 8]\n",
        ),
        ({"seed": 8}, "seed: 7 -> 8\n"),
    ],
)
def test_another_run_is_refused_naming_the_field(
    where: str, changes: dict[str, Any], told: str
) -> None:
    begin(where).close()
    with pytest.raises(RunDiffersError, match=r"restart=True \(--restart\)") as refusal:
        begin(where, **changes)
    assert told in str(refusal.value)
    assert len(refusal.value.differences) == 1
    begin(where).close()  # and the refused one holds no lock


def test_other_versions_are_told(where: str) -> None:
    begin(where, versions={"numpy": "1"}).close()
    with pytest.warns(OtherVersionsWarning, match="numpy: '1' -> '2'"):
        begin(where, versions={"numpy": "2"}).close()


def test_restart_begins_anew_and_keeps_the_old_run(where: str, kind: str) -> None:
    for seed in (1, 2, 3):
        with begin(where, seed=seed, restart=True) as run:
            assert run.resume() is None
            save_checkpoint(run.folder, seed, {"seed": seed}, {})
            run.finish({"seed": seed})
    for seed, place in enumerate(kept_runs(where, kind), start=1):
        old = look_at_run(place)
        if kind == "local":
            assert old is not None
            assert old.record.seed == seed
            assert old.finished == {"seed": seed}
    with begin(where, seed=3) as run:
        assert run.finished == {"seed": 3}


def kept_runs(where: str, kind: str) -> list[str]:
    if kind == "local":
        return [f"{where}.old-1", f"{where}.old-2", where]
    return [f"{where}/attempt-0000000{number}" for number in (1, 2, 3)]


def test_restart_where_nothing_was_begun(where: str) -> None:
    with begin(where, restart=True) as run:
        assert run.finished is None


def test_finished_is_told_once(where: str) -> None:
    with begin(where) as run:
        assert run.finished is None
        run.finish({"reason": "converged", "loss": float("-inf")})
        run.finish({"reason": "converged", "loss": float("-inf")})
        with pytest.raises(KeyExistsError, match="FINISHED"):
            run.finish({"reason": "other"})
    with begin(where) as run:
        assert run.finished == {"reason": "converged", "loss": float("-inf")}


def test_looking_on_needs_no_lock(where: str) -> None:
    assert look_at_run(where) is None
    with begin(where):
        run = look_at_run(where)
        assert run is not None
        assert run.record.seed == 7
        assert run.finished is None


@pytest.mark.parametrize("name", ["run.json", "FINISHED.json"])
def test_damaged_records_are_told(where: str, name: str) -> None:
    with begin(where) as run:
        run.finish({"x": 1})
        whole = run.folder.read(name)
        run.folder.replace(name, whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    with pytest.raises(DamagedError, match=f"{name} is damaged"), begin(where) as run:
        assert run.finished


@pytest.mark.timed
def test_second_opener_leaves_at_once_naming_the_holder(where: str) -> None:
    with begin(where):
        for restart in (False, True):
            begun = time.perf_counter()
            with pytest.raises(RunIsBusy, match=f"in use by process {os.getpid()} on") as busy:
                begin(where, restart=restart)
            assert time.perf_counter() - begun < 1
            assert busy.value.pid == os.getpid()
    begin(where).close()


@pytest.mark.timed
def test_lock_dies_with_its_killed_holder(where: str) -> None:
    holder = hold(where, time_to_live=8.0)
    try:
        with pytest.raises(RunIsBusy) as busy:
            begin(where)
        assert busy.value.pid == holder.pid
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        begun = time.perf_counter()
        begin(where).close()
        assert time.perf_counter() - begun < 2  # its lease would have run out after eight
    finally:
        holder.kill()
        holder.communicate()


def hold(where: str, time_to_live: float) -> "subprocess.Popen[str]":
    """A process that holds the run until it is killed."""
    arguments = [sys.executable, "-c", HOLDER, where, str(time_to_live)]
    holder = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holding\n"
    return holder


def test_of_many_that_restart_at_once_one_holds_the_run_at_a_time(tmp_path: Path) -> None:
    holders: list[int] = []

    def restart(number: int) -> bool:
        try:
            with begin(str(tmp_path / "run"), seed=number, restart=True):
                holders.append(number)
                time.sleep(0.002)
                alone = holders == [number]
                holders.remove(number)
        except RunIsBusy:
            return False
        assert alone
        return True

    with ThreadPoolExecutor(8) as threads:
        begun = sum(threads.map(restart, range(60)))
    assert len(list(tmp_path.glob("run.old-*"))) == begun - 1


@pytest.mark.needs("strace")
def test_lock_of_a_folder_moved_aside_is_not_taken_for_the_new_ones(tmp_path: Path) -> None:
    where = str(tmp_path / "run")
    begin(where).close()
    late = f"print('opening', flush=True)\n{HOLDER}"
    slowly = ["strace", "-f", "-o", "/dev/null", "-e", "inject=flock:delay_enter=2000000"]
    with subprocess.Popen(
        [*slowly, sys.executable, "-c", late, where, "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as opener:
        assert opener.stdout is not None
        assert opener.stdout.readline() == "opening\n"
        wait_until(lambda: opened_by_others(f"{where}/.lock"))
        with begin(where, restart=True):  # while the other is between opening and locking
            told, complaint = opener.communicate(timeout=20)
    assert told == ""
    assert "RunIsBusy" in complaint


@pytest.mark.needs("strace")
@pytest.mark.parametrize("says", ["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def test_a_file_system_without_locks_is_refused_in_a_sentence(tmp_path: Path, says: str) -> None:
    without = ["strace", "-f", "-o", "/dev/null", "-e", f"inject=flock:error={says}"]
    told = subprocess.run(
        [*without, sys.executable, "-c", HOLDER, str(tmp_path / "run"), "60"],
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1
    assert "StorageError" in told.stderr
    assert "this file system has no locks" in told.stderr


RESTARTER = HOLDER.replace("**GIVEN,", "**GIVEN, restart=True,")


@pytest.mark.needs("strace")
def test_run_begun_and_ended_while_another_restarts_is_put_aside_too(tmp_path: Path) -> None:
    where = str(tmp_path / "run")
    begin(where, seed=1).close()
    # -D: the holder is our own child, so that it ends when it is killed, not when strace is.
    slowly = ["strace", "-D", "-f", "-o", "/dev/null", "-e", "inject=rename:delay_exit=2000000"]
    restarter = subprocess.Popen(
        [*slowly, sys.executable, "-c", RESTARTER, where, "60"], stdout=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: (tmp_path / "run.old-1").exists())
        begin(where, seed=2).close()  # while the other is between putting aside and locking
        assert restarter.stdout is not None
        assert restarter.stdout.readline() == "holding\n"
        kept = [where, f"{where}.old-1", f"{where}.old-2"]
        runs = [look_at_run(place) for place in kept]
        assert [run and run.record.seed for run in runs] == [7, 1, 2]
    finally:
        restarter.kill()
        restarter.communicate()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def opened_by_others(path: str) -> bool:
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(descriptor) == path and str(os.getpid()) not in descriptor.parts:
                return True
    return False


def test_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("x")
    with pytest.raises(StorageError, match=r"is no run folder: it holds thesis\.tex"):
        begin(str(tmp_path / "home"), restart=True)
    assert os.listdir(tmp_path / "home") == ["thesis.tex"]


def test_file_in_the_place_of_a_run_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("run", "link"):
        with pytest.raises(StorageError, match="cannot be used as a run folder"):
            begin(str(tmp_path / name))


def test_improper_run_names_are_refused(tmp_path: Path) -> None:
    for name in ("..", ".hidden", "a b", "x" * 65):
        with pytest.raises(StorageError, match="is no name"):
            begin(str(tmp_path / name))
    assert os.listdir(tmp_path) == []


def test_history_holds_each_iteration_once_through_resumes(where: str) -> None:
    with begin(where) as run:
        run.resume()
        with run.writer() as writer:
            for iteration in range(1, 6):
                run.history.append(iteration, {"loss": iteration / 3, "try": 1})
                if iteration == 3:
                    writer.submit(iteration, {}, {})
                    writer.flush()
        run.history.sync()
    for _ in range(2):
        with begin(where) as run:
            checkpoint = run.resume()
            assert checkpoint is not None
            assert [entry["iteration"] for entry in run.history.read()] == [1, 2, 3]
            for iteration in (4, 5):
                run.history.append(iteration, {"loss": float("nan"), "try": 2})
            run.history.sync()
            entries = run.history.read()
            assert [entry["iteration"] for entry in entries] == [1, 2, 3, 4, 5]
            assert [entry["try"] for entry in entries] == [1, 1, 1, 2, 2]
            assert entries[1]["loss"] == 2 / 3


def test_history_before_the_first_checkpoint_begins_anew(where: str) -> None:
    with begin(where) as run:
        run.history.append(1, {})
        run.history.sync()
    with begin(where) as run:
        run.resume()
        assert run.history.read() == []


def kept_iterations(where: str, *iterations: int) -> None:
    """A run that has come so far."""
    with begin(where) as run:
        run.resume()
        with run.writer() as writer:
            for iteration in iterations:
                run.history.append(iteration, {})
                writer.submit(iteration, {"of": where}, {})


def attempt_of(where: str) -> Folder:
    """The folder of a run's present attempt."""
    run = look_at_run(where)
    assert run is not None
    return run.folder


def moved(where: str, elsewhere: str, key: str) -> None:
    """What one run has under a key, in another."""
    found, other = look_at_run(where), look_at_run(elsewhere)
    assert found is not None
    assert other is not None
    for one in [one for one in found.folder.list() if one.startswith(key)]:
        other.folder.replace(one, found.folder.read(one))


def test_a_run_takes_no_checkpoint_of_another(where: str) -> None:
    other = f"{where}-other"
    kept_iterations(where, 0, 1)
    kept_iterations(other, 0, 1, 2, 3, 4, 5)
    for iteration in (5, 4, 3):
        moved(other, where, f"checkpoints/it-0000000{iteration}")
    told = "checkpoints/it-00000005 in .* is a checkpoint of another run: take it away"
    with begin(where) as run, pytest.raises(OtherRunError, match=told):
        run.resume()
    folder = attempt_of(where)
    for iteration in (5, 4, 3):
        folder.discard(f"checkpoints/it-0000000{iteration}")
    with begin(where) as run:
        checkpoint = run.resume()
        assert checkpoint is not None
        assert checkpoint.state == {"of": where}


def test_a_run_at_work_keeps_its_own_checkpoints_before_those_that_are_copied_in(
    where: str,
) -> None:
    other = f"{where}-other"
    kept_iterations(other, *range(20, 26))
    with begin(where) as run, run.writer() as writer:
        for iteration in range(6):
            run.history.append(iteration, {})
            writer.submit(iteration, {}, {})
            writer.flush()
            moved(other, where, "checkpoints")
        assert {3, 4, 5} <= set(complete_iterations(run.folder))


def test_a_run_is_not_finished_by_the_mark_of_another(where: str) -> None:
    other = f"{where}-other"
    kept_iterations(where, 0)
    kept_iterations(other, 0)
    with begin(other) as run:
        run.finish({"reason": "converged"})
        assert run.finished == {"reason": "converged"}
    moved(other, where, "FINISHED.json")
    with begin(where) as run, pytest.raises(OtherRunError, match=r"FINISHED\.json in .* another"):
        assert run.finished


def test_a_run_of_an_earlier_version_goes_on_but_not_with_what_has_another_ids(where: str) -> None:
    kept_iterations(where, 0, 1)
    forget_ids(where)
    kept_iterations(where, 2)
    with begin(where) as run:
        checkpoint = run.resume()
        assert checkpoint is not None
        assert checkpoint.iteration == 2
        run.finish({"reason": "converged"})
        assert run.finished == {"reason": "converged"}
        assert b"run_id" not in run.folder.read("FINISHED.json")
    kept_iterations(f"{where}-other", 0, 1, 2, 3)
    moved(f"{where}-other", where, "checkpoints/it-00000003")
    with begin(where) as run, pytest.raises(OtherRunError, match="it-00000003"):
        run.resume()


def forget_ids(where: str) -> None:
    """As earlier versions have written it."""
    folder = attempt_of(where)
    for key in folder.list():
        if key == "run.json" or key.endswith("MANIFEST.json"):
            content = unseal(folder.read(key), key)
            del content["run_id"]
            folder.replace(key, seal(content))


def test_lost_checkpoints_and_a_lost_history_are_told(where: str) -> None:
    kept_iterations(where, 0, 1, 2, 3)
    folder = attempt_of(where)
    for key in [key for key in folder.list() if key.startswith("history")]:
        folder.delete(key)
    with begin(where) as run, pytest.warns(LostWarning, match="lost from iteration 0 on.* 3"):
        run.resume()
    kept_iterations(f"{where}-2", 0, 1, 2, 3)
    folder = attempt_of(f"{where}-2")
    folder.discard("checkpoints")
    with (
        begin(f"{where}-2") as run,
        pytest.warns(LostWarning, match="no checkpoint any more, though .* reaches iteration 3"),
    ):
        assert run.resume() is None


def test_torn_line_is_cut_off_and_a_damaged_one_told(tmp_path: Path) -> None:
    path = tmp_path / "run" / "history.jsonl"
    with begin(str(path.parent)) as run:
        run.history.append(1, {"x": 1})
        path.write_bytes(path.read_bytes() + b'{"iteration": 2')
        assert [entry["iteration"] for entry in run.history.read()] == [1]
        run.history.truncate(1)
        run.history.append(2, {"x": 2})
        assert [entry["iteration"] for entry in run.history.read()] == [1, 2]
        assert [json.loads(line)["x"] for line in path.read_text().splitlines()] == [1, 2]
        path.write_bytes(b'{"iterat\n' + path.read_bytes())
        with pytest.warns(DamagedHistoryWarning, match=re.escape("history.jsonl line 1")):
            assert len(run.history.read()) == 2


def test_only_the_end_of_a_history_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "run" / "history.jsonl"
    with begin(str(path.parent)) as run:
        for iteration in range(1, 10):
            run.history.append(iteration, {})
        path.write_bytes(b"damaged\n" + path.read_bytes() + b'{"iteration": []}\nneither\n')
        assert [entry["iteration"] for entry in run.history.newest(4)] == [8, 9]
        run.history.truncate(7)
        assert [entry["iteration"] for entry in run.history.newest(2)] == [6, 7]
        assert len(run.history.newest(100)) == 7
        assert path.read_bytes().startswith(b"damaged\n"), "said by who reads it all"
        run.history.truncate(0)
        assert run.history.newest(1) == []
