"""What is done while a pass is out: questions that a test answers, results that a test delays."""

from collections.abc import Iterator
from typing import Any

import pytest

from gmm_dask.chunked.engines import waiting
from gmm_dask.chunked.engines.faults import ClusterError
from gmm_dask.chunked.engines.patience import Patience
from gmm_dask.chunked.engines.waiting import Watch, result_of

RUNNING = {"status": "running"}


class Task:
    """A future whose result comes after these faults."""

    def __init__(self, *faults: Exception, status: str = "pending") -> None:
        self.faults, self.status = list(faults), status
        self.waited: list[float] = []
        self.released = False

    def result(self, timeout: float = 0.0) -> str:
        self.waited.append(timeout)
        if self.faults:
            raise self.faults.pop(0)
        return "sums"

    def done(self) -> bool:
        return self.status != "pending"

    def release(self) -> None:
        self.released = True


class Scheduler:
    """Gives these answers, one a question."""

    def __init__(self, *answers: Any) -> None:
        self.answers: Iterator[Any] = iter(answers)
        self.replaced = 0

    def __call__(self, question: str, **_details: Any) -> Any:
        answer = next(self.answers)
        return {"workers": answer} if question == "identity" else answer

    def on_replaced(self) -> None:
        self.replaced += 1

    def watch(self, patience: float = 60.0) -> Watch:
        return Watch(self, Patience(patience), self.on_replaced)


def unwanted() -> Any:
    raise AssertionError("workers are there")


def test_a_result_is_looked_around_for_until_it_is_there() -> None:
    looks: list[int] = []
    task = Task(TimeoutError(), TimeoutError())
    assert result_of(task, lambda: looks.append(1)) == "sums"
    assert len(looks) == 2
    assert task.waited == [waiting.POLL_SECONDS] * 3


def test_a_result_that_is_on_its_way_is_given_more_time() -> None:
    task = Task(TimeoutError(), TimeoutError(), status="finished")
    result_of(task, lambda: None)
    assert task.waited == [waiting.POLL_SECONDS * times for times in (1, 2, 4)]


def test_an_error_of_the_task_is_the_pass_own() -> None:
    with pytest.raises(ZeroDivisionError):
        result_of(Task(ZeroDivisionError(), status="error"), lambda: None)


def test_a_task_that_ran_out_of_time_itself_has_failed() -> None:
    task = Task(*[TimeoutError("the store's")] * 9, status="error")
    with pytest.raises(TimeoutError, match="the store's"):
        result_of(task, lambda: None)


def test_what_the_look_raises_ends_the_waiting() -> None:
    def look() -> None:
        raise ConnectionError("all lost")

    with pytest.raises(ConnectionError, match="all lost"):
        result_of(Task(TimeoutError()), look)


def test_a_question_that_was_cancelled_with_another_is_put_again() -> None:
    assert result_of(Task(UnboundLocalError()), lambda: None) == "sums"
    with pytest.raises(UnboundLocalError):
        result_of(Task(UnboundLocalError(), status="error"), lambda: None)


def test_threads_that_are_there_are_not_waited_for() -> None:
    assert Scheduler({"a": 2}).watch().threads(unwanted) == {"a": 2}


def test_a_task_calls_for_the_first_worker_and_goes_when_it_has_come() -> None:
    wanted: list[Task] = []

    def want() -> Any:
        wanted.append(Task())
        return wanted[-1]

    assert Scheduler({}, {}, {"a": 1}).watch().threads(want) == {"a": 1}
    (task,) = wanted
    assert task.released


def test_where_none_comes_the_task_goes_as_well() -> None:
    task: Any = Task()
    with pytest.raises(ClusterError, match="none connected"):
        Scheduler({}, {}).watch(patience=-1.0).threads(lambda: task)
    assert task.released


def test_workers_that_are_all_others_end_the_attempt_once() -> None:
    scheduler = Scheduler({"a": 1, "b": 1}, {"b": RUNNING}, {"c": RUNNING}, {"c": RUNNING})
    watch = scheduler.watch()
    watch.threads(unwanted)
    watch.look()
    with pytest.raises(ConnectionError, match="all workers were lost at once"):
        watch.look()
    assert scheduler.replaced == 1
    watch.look()
    assert scheduler.replaced == 1


def test_workers_that_were_replaced_between_passes_are_no_error() -> None:
    scheduler = Scheduler({"a": 1}, {"b": 1})
    watch = scheduler.watch()
    watch.threads(unwanted)
    assert watch.threads(unwanted) == {"b": 1}
    assert scheduler.replaced == 1


def test_a_pass_that_nobody_runs_is_given_up() -> None:
    with pytest.raises(ClusterError, match="1 paused"):
        Scheduler({"a": {"status": "paused"}}).watch(patience=-1.0).look()
