"""Reaching the cluster that someone asked for, or starting one, or none for small data.

Knows addresses, workers and sizes; knows nothing of what will be computed there.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from dask.system import CPU_COUNT
from dask.utils import parse_bytes
from distributed import Client, LocalCluster

from gmm_dask.chunked.faults import ClusterError, cluster_settings
from gmm_dask.configuration import ConfigurationError
from gmm_dask.job import ClusterOptions

logger = logging.getLogger("gmm_dask")

LARGE_BYTES = 256 * 2**20
"""Rows of fewer bytes are fitted in this process: a cluster of one's own takes seconds to start."""
LOOPBACK = "127.0.0.1"
DASHBOARD_PORT = 8787
CONNECT_SECONDS = 15


@contextmanager
def cluster_for(options: ClusterOptions, nbytes: int | None = None) -> Iterator[Client | None]:
    """A client of the cluster that was asked for; without any wish, one sized to this machine if
    the rows are large, else None: this process."""
    if options.scheduler is not None:
        with reached(options.scheduler) as client:
            yield client
    elif options.any_given or is_large(nbytes):
        with started(options) as client:
            yield client
    else:
        logger.info(in_process(nbytes))
        yield None


def is_large(nbytes: int | None) -> bool:
    """Whether rows are worth a cluster that nobody asked for."""
    return nbytes is not None and nbytes >= LARGE_BYTES and CPU_COUNT > 1


def in_process(nbytes: int | None) -> str:
    """Why no cluster is used."""
    if nbytes is None:
        return "running in this process: no cluster was asked for"
    return (
        f"running in this process: {nbytes / 2**20:.3g} MiB of rows are less than "
        f"{LARGE_BYTES / 2**20:.0f} MiB; --workers or --scheduler asks for a cluster"
    )


@contextmanager
def reached(address: str) -> Iterator[Client]:
    """A scheduler that is there already."""
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError) as problem:
        raise ClusterError(
            f"no Dask scheduler answers at {address} within {CONNECT_SECONDS} s; "
            "`gmm-dask doctor --scheduler` looks closer"
        ) from problem
    except (ValueError, TypeError) as problem:
        raise ConfigurationError(f"{address} is no scheduler's address: {problem}") from problem
    with client:
        threads = sum(client.nthreads().values())
        logger.info("on the cluster at %s: %d threads", address, threads)
        yield client


@contextmanager
def started(options: ClusterOptions) -> Iterator[Client]:
    """A cluster of this machine's own, reachable from this machine only."""
    threads = options.threads or 1
    workers = options.workers or max(1, CPU_COUNT // threads)
    # Settings first: the scheduler reads them once, when it starts.
    with (
        dask.config.set(cluster_settings()),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            memory_limit=checked_memory(options.memory_limit),
            host=LOOPBACK,
            preload=["gmm_dask.undisturbed"],
            # Workers tell at length of every pass that is cancelled, and what fails there fails
            # here as well. Nannies, which are in this process, are still heard.
            silence_logs=logging.CRITICAL,
            dashboard_address=f"{LOOPBACK}:{free_port(DASHBOARD_PORT)}",
        ) as local,
        Client(local) as client,
    ):
        told = "on a local cluster of %d x %d threads; dashboard: %s"
        logger.info(told, workers, threads, client.dashboard_link)
        yield client


def checked_memory(limit: str | None) -> str:
    """The memory limit of one worker: a size like 2GB, or this machine's share."""
    if limit is None:
        return "auto"
    try:
        parse_bytes(limit)
    except ValueError:
        raise ConfigurationError(
            f"memory limit {limit!r} is no size; write 2GB or 512MiB"
        ) from None
    return limit


def free_port(wanted: int) -> int:
    """The port, or 0 for any where it is taken."""
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError:
            return 0
    return wanted
