"""What a flow outlives, and what ends it: retries, crashes that repeat, and another driver.

Knows kinds of faults; knows nothing of what is being done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, TypeVar

from prefect import get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import Pause
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.tasks import exponential_backoff

from gmm_dask.chunked.engines.faults import BlocksKilledWorkers, ClusterError, passes_over
from gmm_dask.chunked.sources.protocol import OutageError
from gmm_dask.store.addresses import failure
from gmm_dask.store.errors import LeaseLostError, RunIsBusy, StoreUnavailableError

MOST_STARTS = 5
"""Of one flow run: what has crashed so often will crash again, and somebody has to look."""


class KeepsCrashing(RuntimeError):  # noqa: N818 - named for what happened
    """A flow run that automations have started again and again."""


def may_pass(error: BaseException) -> bool:
    """True for a lost cluster and a store that does not answer; wrong data stays wrong."""
    chain = tuple(causes(error))
    if any(isinstance(one, BlocksKilledWorkers) for one in chain):
        return False
    unavailable = (ClusterError, OutageError, StoreUnavailableError)
    return any(
        isinstance(one, unavailable) or passes_over(one) or failure(one) == "unanswered"
        for one in chain
    )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def worth_retrying(task: Any, run: TaskRun, state: State) -> bool:
    """Prefect's question after a failed attempt."""
    del task, run
    try:
        state.result()
    except Exception as error:
        again = may_pass(error)
        get_run_logger().warning(
            "%s: %s", "this may pass, trying again" if again else "no retry mends this", error
        )
        return again
    return False


LASTING: dict[str, Any] = {
    "retries": 4,
    "retry_delay_seconds": exponential_backoff(5),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": worth_retrying,
    "cache_policy": NO_CACHE,
}
"""Of a task that goes on from its checkpoints: retried with backoff where that can help."""


def starts() -> int:
    """How often this flow run was started, this time included."""
    return int(flow_run.run_count or 1)


def stop_if_it_keeps_crashing() -> None:
    """Automations start a crashed run again; one that ends its process every time is stopped."""
    if starts() > MOST_STARTS:
        raise KeepsCrashing(
            f"this run was started {starts() - 1} times and its process ended every time, most "
            "often for want of memory on the driver's machine: look at the logs of the worker, "
            "then retry it by hand"
        )


LEFT = (RunIsBusy, LeaseLostError, Pause)
"""How it is said that another driver has the work in hand, before any of it or in the middle; or
that its run is suspended, and goes on when it is resumed."""


LOOKS_AGAIN = 30.0
"""Seconds between two looks at whether the work is still in another driver's hand; a look begins
the work, and may start a cluster for it."""


P = ParamSpec("P")
T = TypeVar("T")
Left: TypeAlias = RunIsBusy | LeaseLostError | Pause


def or_left(work: Callable[P, T]) -> Callable[P, T | Left]:
    """Work that returns why it is left to another driver, or to later, which is no error.

    A run that was started again waits instead: the other may well be itself, started once more
    while it was thought dead, and its end would be told as that of the one that goes on.
    """

    @wraps(work)
    def tried(*arguments: P.args, **named: P.kwargs) -> T | Left:
        warned = False
        while True:
            try:
                return work(*arguments, **named)
            except LEFT as why:
                if not isinstance(why, RunIsBusy) or starts() < 2:
                    return why
                if not warned:
                    get_run_logger().warning("%s: waiting, for it may be this very run", why)
                warned = True
            time.sleep(LOOKS_AGAIN)

    return tried


def left_to_the_other(why: Left) -> State:
    """The end of a run whose work another driver does: by a name of its own, never Cancelled,
    which somebody has to have done by hand."""
    if isinstance(why, Pause):
        raise why
    message = f"nothing done: {why}"
    if isinstance(why, LeaseLostError):
        return Failed(name="LeaseLost", message=str(why), data=why)
    get_run_logger().warning(message)
    return Completed(name="Busy", message=message, data={"busy": message})
