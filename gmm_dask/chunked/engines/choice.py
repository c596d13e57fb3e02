"""Which engine a fit has: on a cluster where there is one, else in this process.

A task of Dask's holds a thread of its worker, which what it waits for may need. So a fit within a
task needs no cluster, or leaves the thread to others while it waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import Any

from dask.system import CPU_COUNT
from distributed import Client, default_client, get_client, worker_client
from distributed.system import MEMORY_LIMIT

from gmm_dask.chunked.blas import one_blas_thread
from gmm_dask.chunked.borrowed.distributed.workers import memory_of_a_thread, pool_thread
from gmm_dask.chunked.engines.dask import DaskEngine
from gmm_dask.chunked.engines.in_process import SerialEngine
from gmm_dask.chunked.engines.protocol import Cache, Engine, PassReport
from gmm_dask.chunked.metrics.textfile import kept_by_environment
from gmm_dask.chunked.rows import Rows


@contextmanager
def engine_over(
    rows: Rows, client: Client | None, cache: Cache
) -> Iterator[tuple[Engine, list[PassReport]]]:
    """An engine on the client's cluster, or else in this process, and a list of what it costs."""
    costs: list[PassReport] = []
    client = client or active_client()
    if client is None and rows.lazy and holds_a_thread():
        client = get_client()  # of blocks that may lie on the cluster
    waiting = nullcontext() if client is None else aside()
    with waiting, closing(engine_of(rows, client, cache, costs)) as engine, one_blas_thread():
        yield engine, costs


def engine_of(
    rows: Rows, client: Client | None, cache: Cache, costs: list[PassReport]
) -> DaskEngine | SerialEngine:
    """On a cluster; in this process, by all of its threads; in a task, by the one that it has."""
    heard: Any = {"on_pass": costs.append, "on_tell": kept_by_environment()}
    if client is not None:
        return DaskEngine(client, rows, cache=cache, **heard)
    if not holds_a_thread():
        return SerialEngine(rows, cache=cache, threads=CPU_COUNT, **heard)
    share = 0.5 * share_of_memory()
    return SerialEngine(rows, cache=cache, memory_share=share, **heard)


def active_client() -> Client | None:
    """The client that this process has open, as all of Dask finds it; within a task, only if the
    task has left its thread to others."""
    try:
        client = default_client()
    except ValueError:
        return None
    return client if may_wait_for(client) else None


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
