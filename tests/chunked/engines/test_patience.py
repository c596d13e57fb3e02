"""How long workers are waited for, by a clock of the test's own."""

from typing import Any

import dask
import pytest

from gmm_dask.chunked.engines.faults import ClusterError
from gmm_dask.chunked.engines.patience import KnownWorkers, Patience


class Clock:
    """Stands still but for the test."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def worker(status: str = "running", executing: int = 0) -> dict[str, Any]:
    return {"status": status, "metrics": {"task_counts": {"executing": executing}}}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_without_workers_it_ends_after_so_many_seconds(clock: Clock) -> None:
    patience = Patience(4.0, clock)
    clock.now += 4.0
    patience.check(())
    clock.now += 0.1
    with pytest.raises(ClusterError, match=r"running for 4 s \(workers: none connected\)"):
        patience.check(())


def test_paused_workers_are_counted_by_state(clock: Clock) -> None:
    patience = Patience(4.0, clock)
    clock.now += 5.0
    with pytest.raises(ClusterError, match=r"\(workers: 2 paused, 1 init\); start workers or give"):
        patience.check([worker("paused"), worker("init"), worker("paused")])


@pytest.mark.parametrize("alive", [worker(), worker("paused", executing=1)], ids=["runs", "paused"])
def test_one_that_works_renews_it(clock: Clock, alive: dict[str, Any]) -> None:
    patience = Patience(4.0, clock)
    clock.now += 5.0
    patience.check([worker("paused"), alive])
    clock.now += 3.0
    patience.check([])


def test_a_pass_that_begins_has_all_of_it(clock: Clock) -> None:
    patience = Patience(4.0, clock)
    clock.now += 60.0
    patience.begin()
    clock.now += 3.0
    patience.check([])


@pytest.mark.parametrize(("set_to", "seconds"), [("7s", 7.0), (None, 120.0)])
def test_it_is_as_long_as_dasks_own(clock: Clock, set_to: str | None, seconds: float) -> None:
    with dask.config.set({"distributed.scheduler.no-workers-timeout": set_to}):
        patience = Patience(clock=clock)
    clock.now += seconds
    patience.check([])
    clock.now += 0.1
    with pytest.raises(ClusterError):
        patience.check([])


def test_known_workers_are_replaced_when_none_is_left_and_others_have_come() -> None:
    known = KnownWorkers()
    assert not known.replaced_by(()), "nobody has come yet"
    assert not known.replaced_by("ab"), "the first"
    assert not known.replaced_by("bc"), "one has stayed"
    assert not known.replaced_by(()), "they may come back"
    assert not known.replaced_by("c"), "and one of them has"
    assert known.replaced_by("de")
    assert not known.replaced_by("de"), "they are known now"
