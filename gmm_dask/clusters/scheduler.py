"""A scheduler that is there already."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from distributed import Client

from gmm_dask.chunked.engines.faults import ClusterError
from gmm_dask.chunked.engines.workers import asked
from gmm_dask.clusters.page import CONNECT_SECONDS, page_told
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.store.retries import within

logger = logging.getLogger("gmm_dask")


@contextmanager
def reached(address: str) -> Iterator[Client]:
    """A scheduler that is there already."""
    try:
        # Clients wait without end for the first word of whoever takes their connection.
        within(CONNECT_SECONDS, f"the scheduler at {address}", asyncio.run, knocked(address))
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError) as problem:
        certificates = ", or it does not know our certificate" if "tls:" in address else ""
        raise ClusterError(
            f"no Dask scheduler answers at {address} within {CONNECT_SECONDS} s{certificates}; "
            "`gmm-dask doctor --scheduler` looks closer"
        ) from problem
    except (ValueError, TypeError) as problem:
        raise ConfigurationError(f"{address} is no scheduler's address: {problem}") from problem
    with left_quietly(client):
        threads = sum(asked(client, "ncores").values())
        message = "on the cluster at %s: %d threads; page of fits: %s"
        logger.info(message, address, threads, page_told(client))
        yield client


async def knocked(address: str) -> None:
    """Come and go as a client does."""
    client = Client(address, timeout=CONNECT_SECONDS, asynchronous=True, set_as_default=False)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await client
    finally:
        await client.close(timeout=1)


@contextmanager
def left_quietly(client: Client) -> Iterator[None]:
    """Close it in the end; one that has lost its scheduler would tell how its search for it ended,
    in a traceback after the error that says so."""
    distributed = logging.getLogger("distributed.client")
    with ExitStack() as stack:
        stack.callback(distributed.setLevel, distributed.level)
        stack.enter_context(client)
        try:
            yield
        finally:
            if client.status != "running":
                distributed.setLevel(logging.CRITICAL)
