"""Which passes are tried again, and what ends those that are not: without any cluster."""

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from distributed import KilledWorker
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError

from gmm_dask.chunked.engines.attempts import Attempts
from gmm_dask.chunked.engines.faults import BlocksKilledWorkers, ClusterError
from gmm_dask.chunked.rows import DataError, Rows, open_rows
from gmm_dask.chunked.sources.protocol import OutageError

KILLED = KilledWorker("task", SimpleNamespace(address="tcp://10.0.0.1:1"), 1)
PASSING = [
    FutureCancelledError("sweep", "lost"),
    CommClosedError("closed"),
    ConnectionResetError("gone for a moment"),
    TimeoutError("no answer"),
    OSError("Timed out trying to connect to tcp://10.0.0.1:1"),
    KILLED,
]
LASTING = [
    np.linalg.LinAlgError("not positive definite"),
    DataError("chunk 3 is corrupt"),
    OutageError("waited for 120 s"),
    OSError("no space left on device"),
    FileNotFoundError("connect.npy"),
]


@pytest.fixture
def rows() -> Rows:
    """Ten blocks of ten rows."""
    return open_rows(np.arange(100.0), block_bytes=80)


def no_question() -> Any:
    raise AssertionError("the scheduler is asked for its record only in the end")


def pause(attempts: Attempts, problem: Exception, **facts: Any) -> float:
    known: dict[str, Any] = {"connected": True, "suspects": [], "fallen": no_question, **facts}
    return attempts.pause_after(problem, **known)


@pytest.mark.parametrize("problem", PASSING, ids=lambda problem: type(problem).__name__)
def test_what_passes_over_is_tried_again_after_a_while(
    rows: Rows, problem: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = Attempts(rows, 4)
    with caplog.at_level(logging.WARNING):
        assert pause(attempts, problem) == 0.5
    assert attempts.count == 2
    assert f"pass attempt 1 failed, trying again: {problem}" in caplog.text


@pytest.mark.parametrize("problem", LASTING, ids=lambda problem: type(problem).__name__)
def test_what_fails_the_same_way_twice_is_raised_as_it_is(rows: Rows, problem: Exception) -> None:
    with pytest.raises(type(problem)) as caught:
        pause(Attempts(rows, 4), problem)
    assert caught.value is problem


def test_pauses_double_until_no_attempt_is_left(rows: Rows) -> None:
    attempts, gone = Attempts(rows, 4), ConnectionResetError("gone")
    assert [pause(attempts, gone) for _ in range(3)] == [0.5, 1.0, 2.0]
    with pytest.raises(ClusterError) as caught:
        pause(attempts, gone, fallen=list)
    assert str(caught.value) == (
        "the pass failed after 4 attempts; last fault: ConnectionResetError: gone"
    )
    assert caught.value.__cause__ is gone
    assert not isinstance(caught.value, BlocksKilledWorkers)


@pytest.mark.parametrize("problem", [ConnectionResetError("gone"), ValueError("nonsense")])
def test_nothing_is_tried_again_without_a_scheduler(rows: Rows, problem: Exception) -> None:
    with pytest.raises(ClusterError, match=r"after 1 attempts; the scheduler is gone; last fault"):
        pause(Attempts(rows, 4), problem, connected=False)


def test_a_second_kill_ends_the_pass_and_names_who_is_suspected(rows: Rows) -> None:
    attempts = Attempts(rows, 4)
    pause(attempts, KILLED, suspects=[(0, 10)])
    with pytest.raises(BlocksKilledWorkers) as caught:
        pause(attempts, KILLED, suspects=[(2, 3), (5, 7)])
    assert "had blocks 2–2 (rows 20–29), 5–6 (rows 50–69) of the array in hand" in str(caught.value)


def test_kills_between_other_faults_are_counted(rows: Rows) -> None:
    attempts = Attempts(rows, 9)
    pause(attempts, KILLED)
    pause(attempts, ConnectionResetError("gone"))
    with pytest.raises(BlocksKilledWorkers):
        pause(attempts, KILLED, suspects=[(2, 3)])


def test_where_dask_blames_nobody_the_record_of_the_scheduler_does(rows: Rows) -> None:
    attempts, gone = Attempts(rows, 2), ConnectionResetError("gone")
    pause(attempts, gone, suspects=[(0, 10)])
    with pytest.raises(BlocksKilledWorkers, match=r"blocks 4–4 \(rows 40–49\) of"):
        pause(attempts, gone, suspects=[(0, 10)], fallen=lambda: [(4, 5)])
