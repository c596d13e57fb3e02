"""A cluster of this machine's own, reachable from this machine only."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
from dask.system import CPU_COUNT
from dask.utils import parse_bytes
from distributed import Client, LocalCluster
from distributed.deploy.cluster import Cluster

from gmm_dask.clusters.dask_settings import cluster_settings
from gmm_dask.clusters.page import LOOPBACK, page_of
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.errors import ConfigurationError

logger = logging.getLogger("gmm_dask")

DASHBOARD_PORT = 8787


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
            preload=["gmm_dask.clusters.preload"],
            # Workers tell at length of every pass that is cancelled, and what fails there fails
            # here as well. Nannies, which are in this process, are still heard.
            silence_logs=logging.CRITICAL,
            **dashboard(LocalCluster),
        ) as local,
        Client(local) as client,
    ):
        page = page_of(client) or "none (pip install 'gmm-dask[dashboard]')"
        logger.info("on a local cluster of %d x %d threads; dashboard: %s", workers, threads, page)
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


def dashboard(cluster_class: type[Cluster]) -> dict[str, Any]:
    """On this machine only: Dask's local clusters would show it, unencrypted, to every network."""
    if not issubclass(cluster_class, LocalCluster):
        return {}
    return {"dashboard_address": f"{LOOPBACK}:{free_port(DASHBOARD_PORT)}"}


def free_port(wanted: int) -> int:
    """The port, or 0 for any where it is taken."""
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError:
            return 0
    return wanted
