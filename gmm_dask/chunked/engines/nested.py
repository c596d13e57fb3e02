"""Fits within tasks of Dask: a task holds a thread of its worker, which what it waits for may need.

So within a task a fit needs no cluster, or leaves the thread to others while it waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client, worker_client
from distributed.system import MEMORY_LIMIT

from gmm_dask.chunked.borrowed.distributed.workers import memory_of_a_thread, pool_thread


def holds_a_thread() -> bool:
    """Whether this is a task that has not left its worker's pool of threads."""
    return bool(pool_thread())


def may_wait_for(client: Client) -> bool:
    """Whether tasks of this client are sure to find threads while this one waits for them."""
    held = pool_thread()
    if held is not None:
        return not held
    # A worker's own client in another thread: one that a task has started, and waits for.
    return not client.id.startswith("Client-worker")


@contextmanager
def aside() -> Iterator[None]:
    """Leave the pool of threads while this is open, where this is a task of it."""
    if not holds_a_thread():
        yield
        return
    with worker_client():
        yield


def share_of_memory() -> float:
    """How much of the machine's memory a task may use: that of one thread of its worker."""
    return memory_of_a_thread() / MEMORY_LIMIT
