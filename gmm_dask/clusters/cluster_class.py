"""A cluster of any class of Dask's: a batch system's, a cloud's, with doors that stay shut."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from inspect import signature
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import Client, LocalCluster
from distributed.deploy.cluster import Cluster
from distributed.security import Security

from gmm_dask.chunked.engines.faults import ClusterError
from gmm_dask.clusters.dask_settings import cluster_settings
from gmm_dask.clusters.local import dashboard
from gmm_dask.clusters.page import LOOPBACKS, page_told
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.errors import ConfigurationError

logger = logging.getLogger("gmm_dask")


@contextmanager
def made(options: ClusterOptions, kind: str) -> Iterator[Client]:
    """A cluster of any class of Dask's, whose workers may have to be waited for in a queue."""
    cluster_class = cluster_class_at(kind)
    arguments = {**encryption(cluster_class), **dashboard(cluster_class), **options.arguments}
    refuse_open_door(options, cluster_class, arguments)
    with dask.config.set(cluster_settings()):
        try:
            cluster = cluster_class(**arguments)
        except Exception as problem:
            raise ClusterError(
                f"{kind} could not be started: {type(problem).__name__}: {problem}"
            ) from problem
        with cluster, Client(cluster) as client:
            if options.workers is not None:
                cluster.scale(options.workers)
            logger.info("started %s; page of fits: %s", kind, page_told(client))
            wait_for_a_worker(client, kind, options.wait)
            yield client


def cluster_class_at(kind: str) -> type[Cluster]:
    """The class of a name like `dask_jobqueue.SLURMCluster`."""
    module, _, name = kind.rpartition(".")
    try:
        cluster_class = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as problem:
        raise ConfigurationError(
            f"cluster kind {kind!r} is not to be found: {problem}; name a class with its module, "
            "such as dask_jobqueue.SLURMCluster (pip install 'gmm-dask[slurm]')"
        ) from None
    if not (isinstance(cluster_class, type) and issubclass(cluster_class, Cluster)):
        raise ConfigurationError(f"cluster kind {kind!r} is no class of Dask clusters")
    return cluster_class


def encryption(cluster_class: type[Cluster]) -> dict[str, Any]:
    """TLS for a cluster, where Dask is configured with certificates: classes do not ask for it."""
    if not dask.config.get("distributed.comm.tls.ca-file", None):
        return {}
    means = {"security": Security(require_encryption=True), "protocol": "tls://"}
    taken = signature(cluster_class).parameters
    return {name: value for name, value in means.items() if name in taken}


def refuse_open_door(
    options: ClusterOptions, cluster_class: type[Cluster], arguments: Mapping[str, Any]
) -> None:
    """A scheduler runs anyone's code who reaches it: on a network it takes TLS, or a loud word."""
    place = arguments.get("host", arguments.get("interface"))
    local = place in LOOPBACKS or (place is None and issubclass(cluster_class, LocalCluster))
    if not (local or arguments.get("security") or options.trust_network):
        raise ConfigurationError(
            f"{options.kind} would listen on the network, where whoever reaches it can run code: "
            'configure Dask with certificates (deploy/tls), or give it host = "127.0.0.1", or, if '
            "nobody else is on that network, trust_network = true"
        )


def wait_for_a_worker(client: Client, kind: str, wait: str) -> None:
    """Queues may take long; passes themselves are not patient with a cluster without workers."""
    try:
        client.wait_for_workers(1, timeout=parse_timedelta(wait))
    except TimeoutError:
        raise ClusterError(
            f"no worker of {kind} has come within {wait}; look at its queue, or wait longer "
            '(wait = "6h")'
        ) from None
