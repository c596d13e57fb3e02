"""distributed: sooner messages, answers of a scheduler that may be gone, notes on tasks, pages."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from dask.system import CPU_COUNT
from distributed import Client, SchedulerPlugin, get_worker
from distributed import scheduler as schedulers
from distributed.system import MEMORY_LIMIT

from gmm_dask.chunked.borrowed.part import Borrowed, gone, logger
from gmm_dask.store.retries import waiting_for, within

INTERVAL, ASKED, NOTED = "interval", "scheduler", "tasks"
SENT, TO_WORKERS = "recent_message_log", "stream_comms"
"""Names that distributed may change: of a connection, of a client, of a worker's state."""

# -- messages -----------------------------------------------------------------------------------

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


# -- what was sent ------------------------------------------------------------------------------

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


# -- questions ----------------------------------------------------------------------------------

_PUBLIC: Mapping[str, Callable[..., Any]] = {
    "ncores": Client.nthreads,
    "identity": Client.scheduler_info,
    "events": Client.get_events,
    "log_event": Client.log_event,
}
"""The same by the client's own methods, which knock at a dead scheduler's door until connecting
times out."""


class Silent(Exception):  # noqa: N818 - named for what it is
    """A scheduler that is there and does not answer: stopped, or cut off."""


def answer(client: Client, question: str, seconds: float, **details: Any) -> Any:
    """The scheduler's answer; Silent after so many seconds without one, and ConnectionError as
    soon as the client knows that it is gone."""
    if not hasattr(client, ASKED):
        gone(QUESTIONS)
        try:
            return within(seconds, "the scheduler", _PUBLIC[question], client, **details)
        except TimeoutError as problem:
            raise Silent(str(problem)) from None
    return client.sync(_answer_or_gone, client, question, seconds, details)


async def _answer_or_gone(
    client: Client, question: str, seconds: float, details: dict[str, Any]
) -> Any:
    if client.status != "running":
        raise ConnectionError("the scheduler is gone")
    scheduler = getattr(client, ASKED)
    name, end = f"the scheduler at {scheduler.address}", time.monotonic() + seconds
    asked = asyncio.ensure_future(getattr(scheduler, question)(**details))
    with waiting_for(name, seconds):
        while not asked.done():
            await asyncio.wait([asked], timeout=0.2)
            _check_there(client, asked)
            if time.monotonic() > end and not asked.done():
                asked.cancel()
                raise Silent(f"{name} has not answered for {seconds:.0f} s")
    try:
        return asked.result()
    except asyncio.CancelledError:
        raise ConnectionError("the scheduler's answer was cut off") from None


def _check_there(client: Client, asked: asyncio.Future[Any]) -> None:
    if client.status != "running" and not asked.done():
        asked.cancel()
        raise ConnectionError("the scheduler is gone")


# -- notes --------------------------------------------------------------------------------------


def note_on_task(name: str, value: float) -> None:
    """Tell the scheduler something with the result of the task that this is; nobody, if in none."""
    try:
        worker = get_worker()
        task = worker.get_current_task()
    except (ValueError, KeyError, AttributeError):
        return
    try:
        getattr(worker.state, NOTED)[task].metadata[name] = value
    except (KeyError, AttributeError, TypeError):
        gone(NOTES)


def client_is_told() -> Callable[[str], None] | None:
    """How the clients of the worker that this thread is of are told a word; None in no task."""
    try:
        worker = get_worker()
    except ValueError:
        return None

    def tell(word: str) -> None:
        # As `distributed.worker.warn` does, which finds the worker in threads of tasks only.
        told = {"message": pickle.dumps(word), "category": pickle.dumps(UserWarning)}
        with suppress(Exception):  # a word is no reason to fail
            worker.log_event("warn", told)

    return tell


# -- threads ------------------------------------------------------------------------------------


def pool_thread() -> bool | None:
    """Whether this thread of a worker's pool is still the pool's; None in any other thread."""
    try:
        from distributed.threadpoolexecutor import thread_state
    except ImportError:
        gone(THREADS)
        return None
    found: bool | None = getattr(thread_state, "proceed", None)
    return found


def memory_of_a_thread() -> float:
    """Bytes that each thread of this worker may use."""
    worker = get_worker()
    try:
        limit = worker.memory_manager.memory_limit or MEMORY_LIMIT
        return float(limit / worker.state.nthreads)
    except AttributeError:
        gone(THREADS)
        return float(MEMORY_LIMIT / CPU_COUNT)


# -- faults -------------------------------------------------------------------------------------

LOST_WORKERS: tuple[type[Exception], ...] = tuple(
    getattr(schedulers, name)
    for name in ("NoWorkerError", "NoValidWorkerError")
    if hasattr(schedulers, name)
)
"""What a task fails with that found no worker to run on; a pass is tried again after it."""


def _look_at_faults() -> None:
    if len(LOST_WORKERS) < 2:
        raise AttributeError("distributed.scheduler names such faults otherwise")


# -- pages --------------------------------------------------------------------------------------


def page_making() -> tuple[Any, Any, Any]:
    """Templates of Dask's pages, what serves one, and what all of them are told."""
    from distributed.dashboard.components.scheduler import env
    from distributed.dashboard.core import BokehApplication
    from distributed.dashboard.scheduler import template_variables

    return env, BokehApplication, template_variables


def _look_at_pages() -> None:
    try:
        import bokeh  # noqa: F401
    except ImportError:
        return  # no pages at all, and nobody misses ours
    page_making()


# -- looking ------------------------------------------------------------------------------------


def _look_at_messages() -> None:
    from distributed.batched import BatchedSend

    _assigned(BatchedSend, INTERVAL)
    _assigned(Client, "scheduler_comm")


def _look_at_logs() -> None:
    from distributed.batched import BatchedSend

    _assigned(BatchedSend, SENT)
    _assigned(schedulers.Scheduler, TO_WORKERS)


def _look_at_questions() -> None:
    _assigned(Client, ASKED)


def _look_at_notes() -> None:
    from distributed.worker_state_machine import TaskState, WorkerState

    getattr(WorkerState(nthreads=1), NOTED)
    _ = TaskState("key").metadata


def _look_at_threads() -> None:
    from distributed.threadpoolexecutor import thread_state
    from distributed.worker_memory import WorkerMemoryManager

    del thread_state
    _assigned(WorkerMemoryManager, "memory_limit")


def _assigned(made: type, name: str) -> None:
    """Objects of this class have it: without making one, which would connect to something."""
    methods = [part for part in vars(made).values() if callable(part)]
    if not any(name in getattr(part, "__code__", _NOTHING).co_names for part in methods):
        raise AttributeError(f"{made.__name__} has no {name}")


_NOTHING = (lambda: None).__code__

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
QUESTIONS = Borrowed(
    "distributed",
    "way to ask a scheduler and notice that it is gone (client.scheduler)",
    "a scheduler that is lost is noticed only when connecting to it times out",
    _look_at_questions,
)
NOTES = Borrowed(
    "distributed",
    "notes on running tasks (worker.state.tasks)",
    "the dashboard's page does not tell time spent reading from time spent computing",
    _look_at_notes,
)
THREADS = Borrowed(
    "distributed",
    "sign that a task holds a thread (threadpoolexecutor.thread_state, memory_manager)",
    "a fit within a task may wait for threads that its own task holds: give it client=None",
    _look_at_threads,
)
FAULTS = Borrowed(
    "distributed",
    "names for tasks that found no worker (scheduler.NoWorkerError, NoValidWorkerError)",
    "a pass that lost all its workers ends the fit, which can be resumed, and is not tried again",
    _look_at_faults,
)
PAGES = Borrowed(
    "distributed",
    "parts of which its dashboard makes pages (BokehApplication, template_variables, env)",
    "there is no page of fits at /gmm",
    _look_at_pages,
)
PARTS = (MESSAGES, LOGS, QUESTIONS, NOTES, THREADS, FAULTS, PAGES)
