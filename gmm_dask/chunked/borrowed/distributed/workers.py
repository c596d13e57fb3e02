"""What a task finds of the worker that runs it: a place for notes, its thread, its memory."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import suppress

from dask.system import CPU_COUNT
from distributed import get_worker
from distributed.system import MEMORY_LIMIT

from gmm_dask.chunked.borrowed.part import Borrowed, assigned, gone

NOTED = "tasks"
"""The name, which distributed may change, of the tasks in a worker's state."""


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
        event = {"message": pickle.dumps(word), "category": pickle.dumps(UserWarning)}
        with suppress(Exception):  # a word is no reason to fail
            worker.log_event("warn", event)

    return tell


def pool_thread() -> bool | None:
    """Whether this thread of a worker's pool is still the pool's; None in any other thread."""
    try:
        from distributed.threadpoolexecutor import thread_state
    except ImportError:
        gone(THREADS)
        return None
    proceed: bool | None = getattr(thread_state, "proceed", None)
    return proceed


def memory_of_a_thread() -> float:
    """Bytes that each thread of this worker may use."""
    worker = get_worker()
    try:
        limit = worker.memory_manager.memory_limit or MEMORY_LIMIT
        return float(limit / worker.state.nthreads)
    except AttributeError:
        gone(THREADS)
        return float(MEMORY_LIMIT / CPU_COUNT)


def _look_at_notes() -> None:
    from distributed.worker_state_machine import TaskState, WorkerState

    getattr(WorkerState(nthreads=1), NOTED)
    _ = TaskState("key").metadata


def _look_at_threads() -> None:
    from distributed.threadpoolexecutor import thread_state
    from distributed.worker_memory import WorkerMemoryManager

    del thread_state
    assigned(WorkerMemoryManager, "memory_limit")


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
