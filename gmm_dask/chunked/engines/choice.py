"""Which engine a fit has: on a cluster where there is one, else in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import Any

from dask.system import CPU_COUNT
from distributed import Client, default_client, get_client

from gmm_dask.chunked.blas import one_blas_thread
from gmm_dask.chunked.engines.dask import DaskEngine
from gmm_dask.chunked.engines.in_process import SerialEngine
from gmm_dask.chunked.engines.nested import aside, holds_a_thread, may_wait_for, share_of_memory
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
