"""Reaching the cluster that someone asked for, or starting one, or none for small data.

Knows addresses, workers and sizes; knows nothing of what will be computed there.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import dask
from dask.system import CPU_COUNT
from dask.utils import parse_bytes, parse_timedelta
from distributed import Client, LocalCluster
from distributed.deploy.cluster import Cluster
from distributed.security import Security

from gmm_dask.chunked.engines.faults import ClusterError
from gmm_dask.chunked.engines.workers import asked
from gmm_dask.clusters.dask_settings import cluster_settings
from gmm_dask.fitting.job import ClusterOptions
from gmm_dask.settings.configuration import ConfigurationError
from gmm_dask.store.retries import within

logger = logging.getLogger("gmm_dask")

LARGE_BYTES = 256 * 2**20
"""Rows of fewer bytes are fitted in this process: a cluster of one's own takes seconds to start."""
LOOPBACK = "127.0.0.1"
LOOPBACKS = (LOOPBACK, "localhost", "::1", "lo")
DASHBOARD_PORT = 8787
PAGE = "gmm"
"""Where `gmm_dask.dashboard` shows fits."""
LISTENER = "gmm-dask"
"""The plugin that hears fits on a scheduler."""
CONNECT_SECONDS = 15


@contextmanager
def cluster_for(options: ClusterOptions, nbytes: int | None = None) -> Iterator[Client | None]:
    """A client of the cluster that was asked for; without any wish, one sized to this machine if
    the rows are large, else None: this process."""
    if options.scheduler is not None:
        with reached(options.scheduler) as client:
            yield client
    elif options.kind is not None:
        with made(options, options.kind) as client:
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
        told = "on the cluster at %s: %d threads; page of fits: %s"
        logger.info(told, address, threads, page_told(client))
        yield client


@contextmanager
def left_quietly(client: Client) -> Iterator[None]:
    """Close it in the end; one that has lost its scheduler would tell how its search for it ended,
    in a traceback after the error that says so."""
    told = logging.getLogger("distributed.client")
    with ExitStack() as stack:
        stack.callback(told.setLevel, told.level)
        stack.enter_context(client)
        try:
            yield
        finally:
            if client.status != "running":
                told.setLevel(logging.CRITICAL)


async def knocked(address: str) -> None:
    """Come and go as a client does."""
    client = Client(address, timeout=CONNECT_SECONDS, asynchronous=True, set_as_default=False)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await client
    finally:
        await client.close(timeout=1)


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
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as problem:
        raise ConfigurationError(
            f"cluster kind {kind!r} is not to be found: {problem}; name a class with its module, "
            "such as dask_jobqueue.SLURMCluster (pip install 'gmm-dask[slurm]')"
        ) from None
    if not (isinstance(found, type) and issubclass(found, Cluster)):
        raise ConfigurationError(f"cluster kind {kind!r} is no class of Dask clusters")
    return found


def encryption(cluster_class: type[Cluster]) -> dict[str, Any]:
    """TLS for a cluster, where Dask is configured with certificates: classes do not ask for it."""
    if not dask.config.get("distributed.comm.tls.ca-file", None):
        return {}
    means = {"security": Security(require_encryption=True), "protocol": "tls://"}
    taken = signature(cluster_class).parameters
    return {name: value for name, value in means.items() if name in taken}


def dashboard(cluster_class: type[Cluster]) -> dict[str, Any]:
    """On this machine only: Dask's local clusters would show it, unencrypted, to every network."""
    if not issubclass(cluster_class, LocalCluster):
        return {}
    return {"dashboard_address": f"{LOOPBACK}:{free_port(DASHBOARD_PORT)}"}


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


def page_of(client: Client) -> str | None:
    """The page of fits on a cluster's dashboard; on this machine, only if it opens."""
    link = client.dashboard_link or ""
    page = f"{link.rpartition('/')[0]}/{PAGE}"
    if not link:
        return None
    shown = opens(page) if urlsplit(link).hostname in LOOPBACKS else not page_problem(client)
    return page if shown else None


def page_told(client: Client) -> str:
    """Where the page of fits is, or why there is none."""
    return page_of(client) or f"none, for {page_problem(client) or 'it does not open from here'}"


def page_problem(client: Client) -> str | None:
    """Why a scheduler does not show fits; None where it does, or cannot be asked."""
    ask = partial(client.run_on_scheduler, without_page)
    try:
        told: str | None = within(CONNECT_SECONDS, "the scheduler", ask)
    except ModuleNotFoundError as problem:
        return f"its scheduler has no {problem.name or 'gmm-dask'}"
    except Exception as problem:  # nobody fits worse without a page
        logger.debug("the scheduler was asked for its page of fits: %s", problem)
        return None
    return told


def without_page(dask_scheduler: Any) -> str | None:
    """Why this scheduler shows no fits; run on it."""
    listener = dask_scheduler.plugins.get(LISTENER)
    if listener is None:
        return "its scheduler was started without --preload gmm_dask.dashboard"
    return getattr(listener, "without_page", None)


def opens(page: str) -> bool:
    """Whether a browser on this machine would find it."""
    try:
        with build_opener(ProxyHandler({})).open(page, timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


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
