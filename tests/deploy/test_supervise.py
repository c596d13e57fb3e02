"""deploy/supervise: what it starts runs again after any end, until it is told to stop."""

import signal
import sys

import psutil
import pytest

from tests.deploy.processes import DEPLOY, Processes, run, until

SUPERVISE = DEPLOY / "supervise"


def starts(processes: Processes) -> list[int]:
    """The processes that were started, in their order."""
    file = processes.folder / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def test_what_ends_or_is_killed_runs_again(processes):
    live = "echo $$ >>pids; [ $(wc -l <pids) != 1 ] || exit 3; echo up; exec sleep 1000"
    processes.start("supervise", [SUPERVISE, "sh", "-c", live])
    until(lambda: len(starts(processes)) == 2)
    assert "sh ended with 3; again in 1 s" in processes.log("supervise")
    until(lambda: "up" in processes.log("supervise"))
    psutil.Process(starts(processes)[1]).kill()
    until(lambda: len(starts(processes)) == 3)
    assert "sh ended with 137; again in 2 s" in processes.log("supervise")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_is_passed_on_and_waited_for(processes, number, code):
    """The child takes its time to end in good order."""
    live = "trap 'sleep 0.5; echo in good order; exit' TERM; echo $$ >>pids; sleep 1000 & wait"
    # A shell cannot trap what was ignored when it began, as SIGHUP is below nohup.
    heard = ["env", "--default-signal=TERM,INT,HUP", SUPERVISE]
    supervise = processes.start("supervise", [*heard, "sh", "-c", live])
    until(lambda: len(starts(processes)) == 1)
    supervise.send_signal(number)
    assert supervise.wait(60) == code
    assert processes.log("supervise") == "in good order\n"


def test_one_that_ends_itself_by_an_interrupt_can(processes):
    """As Prefect's worker does, when it is asked to end: what a shell starts would ignore it."""
    live = (
        "import os, pathlib, signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))\n"
        "pathlib.Path('pids').write_text(str(os.getpid()))\n"
        "while True: signal.pause()\n"
    )
    supervise = processes.start("supervise", [SUPERVISE, sys.executable, "-c", live])
    until(lambda: bool(starts(processes)))
    supervise.terminate()
    assert supervise.wait(20) == 143
    assert "KeyboardInterrupt" in processes.log("supervise")


def test_one_that_waits_to_start_again_stops_at_once(processes):
    supervise = processes.start("supervise", [SUPERVISE, "false"])
    until(lambda: "again in 2 s" in processes.log("supervise"))
    supervise.terminate()
    assert supervise.wait(60) == 143


def test_nothing_to_run_is_refused():
    assert run([SUPERVISE]).returncode == 2
