"""A client's messages to its scheduler: sent sooner, and forgotten sooner by who has sent them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from distributed import Client, SchedulerPlugin
from distributed.scheduler import Scheduler

from gmm_dask.chunked.borrowed.part import Borrowed, assigned, gone, logger
from gmm_dask.store.retries import within

INTERVAL, SENT, TO_WORKERS = "interval", "recent_message_log", "stream_comms"
"""Names that distributed may change: of a connection, and of a scheduler's connections."""

SEND_EVERY = 0.002
"""Seconds between the client's messages: a pass waits for some. Dask's workers and its scheduler
have the same; clients, which send whole graphs elsewhere, take 10 ms."""

_LOCK = Lock()
_HURRIED: WeakKeyDictionary[Any, tuple[int, float]] = WeakKeyDictionary()
"""How many fits hurry a connection at once, and the interval that it had before the first."""


def hurry(client: Client) -> Callable[[], None]:
    """Have a client send sooner; what is returned, called once, sets back what was before."""
    connection: Any = getattr(client, "scheduler_comm", None)
    if not hasattr(connection, INTERVAL):
        gone(MESSAGES)
        return lambda: None
    with _LOCK:
        fits, before = _HURRIED.get(connection, (0, getattr(connection, INTERVAL)))
        _HURRIED[connection] = fits + 1, before
        setattr(connection, INTERVAL, SEND_EVERY)
    return partial(_leave, connection)


def _leave(connection: Any) -> None:
    with _LOCK:
        fits, before = _HURRIED.pop(connection)
        if fits > 1:
            _HURRIED[connection] = fits - 1, before
        else:
            setattr(connection, INTERVAL, before)


SENT_KEPT = 20
"""Messages to each worker that a scheduler holds after sending them; of its own a thousand, with
all that tasks are given: up to a gigabyte for each worker."""


def keep_few(client: Client, seconds: float) -> None:
    """Have this client, and its scheduler for as long as it runs, hold few of what they send."""
    _shorten(getattr(client, "scheduler_comm", None))
    try:
        within(seconds, "the scheduler", client.register_plugin, FewSent())
    except Exception as problem:  # memory is no reason to fail
        logger.info("the scheduler keeps what it has sent: %s", problem)


class FewSent(SchedulerPlugin):  # type: ignore[misc]
    """On a scheduler, whoever started it: few messages kept to workers, also to those to come."""

    name = "gmm-dask-few-sent"
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        """Registered."""
        for connection in list(getattr(scheduler, TO_WORKERS, {}).values()):
            _shorten(connection)

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """Another one has come."""
        _shorten(getattr(scheduler, TO_WORKERS, {}).get(worker))


def _shorten(connection: Any) -> None:
    if not hasattr(connection, SENT):
        gone(LOGS)
    elif getattr(connection, SENT).maxlen != SENT_KEPT:
        setattr(connection, SENT, deque(getattr(connection, SENT), SENT_KEPT))


def _look_at_messages() -> None:
    from distributed.batched import BatchedSend

    assigned(BatchedSend, INTERVAL)
    assigned(Client, "scheduler_comm")


def _look_at_logs() -> None:
    from distributed.batched import BatchedSend

    assigned(BatchedSend, SENT)
    assigned(Scheduler, TO_WORKERS)


MESSAGES = Borrowed(
    "distributed",
    "interval of a client's messages (scheduler_comm.interval)",
    "each pass on a cluster begins up to 10 ms later",
    _look_at_messages,
)
LOGS = Borrowed(
    "distributed",
    "log of messages sent (recent_message_log of stream_comms)",
    "schedulers take tens of MB more with each pass of thousands of tasks, until they hold a "
    "thousand messages to each worker (distributed.admin.low-level-log-length)",
    _look_at_logs,
)
