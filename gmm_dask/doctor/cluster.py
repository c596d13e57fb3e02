"""A cluster: whether it answers, whether its workers are like this machine, whether it is shut."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit

import dask
from distributed import Client

from gmm_dask.chunked.borrowed.distributed.messages import SENT_KEPT
from gmm_dask.chunked.engines.workers import ANSWERED_WITHIN, asked
from gmm_dask.chunked.processors import processor
from gmm_dask.clusters.dask_settings import LOG_LENGTH
from gmm_dask.clusters.page import page_of, page_told
from gmm_dask.clusters.scheduler import reached
from gmm_dask.doctor.finding import Finding, bad, good, note
from gmm_dask.doctor.machine import THREAD_VARIABLES, installed
from gmm_dask.store.addresses import LOOPBACK
from gmm_dask.store.retries import within

ALL = "the scheduler and all workers"
MATTERS = ("python", "gmm-dask", "dask", "distributed", "numpy", "scipy", "zarr")


def on_cluster(address: str) -> Iterator[Finding]:
    """Everything about the cluster at an address."""
    with reached(address) as client:
        yield from workers(client)
        yield from page(client)
        yield from messages(client)
        if asked(client, "ncores"):
            yield from same_versions(client)
            yield from same_processors(client)
            yield from pinned(client)
    yield from shut(address)


def workers(client: Client) -> Iterator[Finding]:
    """How many, and with how much memory."""
    known = asked(client, "identity", n_workers=-1)["workers"].values()
    if not known:
        advice = "start: dask worker ADDRESS; one that adapts starts them with the first task"
        yield note("cluster", "it answers, and has no workers", advice)
        return
    threads = sum(worker["nthreads"] for worker in known)
    limits = [int(worker["memory_limit"] or 0) for worker in known]
    size = f"{len(known)} workers, {threads} threads, {sum(limits) / 2**30:.1f} GiB"
    if not all(limits):
        yield note("cluster", size, "workers without --memory-limit are never stopped in time")
    else:
        yield good("cluster", f"{size}; dashboard: {client.dashboard_link}")


def page(client: Client) -> Iterator[Finding]:
    """Whether fits can be looked at while they run."""
    shown = page_of(client)
    if shown is not None:
        yield good("page of fits", shown)
        return
    advice = "start it with: dask scheduler --preload gmm_dask.dashboard"
    yield note("page of fits", page_told(client), advice)


def messages(client: Client) -> Iterator[Finding]:
    """What the scheduler keeps of what it has sent: of each task all that it was given."""
    advice = f"start it with DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH={LOG_LENGTH}"
    try:
        kept = within(ANSWERED_WITHIN, "the scheduler", client.run_on_scheduler, log_length)
    except Exception as problem:
        state = "it lets clients change nothing, so its memory grows with each pass"
        yield note("scheduler memory", f"{state} ({problem})", advice)
        return
    if kept is None or kept > LOG_LENGTH:
        last = "all" if kept is None else f"the last {kept}"
        state = f"it keeps {last} messages to each worker, up to 1 MB each"
        yield note("scheduler memory", f"{state}; a fit has it keep {SENT_KEPT}", advice)
    else:
        yield good("scheduler memory", f"it keeps the last {kept} messages to each worker")


def log_length() -> int | None:
    """As this process is set; run on the scheduler."""
    length: int | None = dask.config.get("distributed.admin.low-level-log-length")
    return length


def same_versions(client: Client) -> Iterator[Finding]:
    """Workers and scheduler against this process."""
    versions = within(ANSWERED_WITHIN, ALL, client.get_versions, check=False)
    here = versions["client"]["packages"]
    differing = {
        f"{name} {part[name]} on the scheduler, {here[name]} here"
        for part in [(versions["scheduler"] or {}).get("packages", {})]
        for name in ("python", "dask", "distributed")
        if name in part and part[name] != here[name]
    }
    own = installed()
    for address, theirs in told_by_workers(client, installed).items():
        if not isinstance(theirs, dict):
            yield bad("workers", f"{address}: {theirs}", "install gmm-dask where workers run")
            return
        differing |= {
            f"{name} {theirs[name]} on workers, {own[name]} here"
            for name in MATTERS
            if theirs.get(name) != own[name]
        }
    if differing:
        advice = "install the same versions: results may differ in their last bits, or fail"
        yield bad("workers", "; ".join(sorted(differing)), advice)
    else:
        yield good("workers", "the same versions as here")


def same_processors(client: Client) -> Iterator[Finding]:
    """Types of processors on workers: on unlike ones results agree to rounding, not bit for bit."""
    types = Counter(told_by_workers(client, processor, "ignore").values())
    kinds = "; ".join(f"{count} compute with {kind}" for kind, count in types.most_common())
    if len(types) > 1:
        advice = "for the same bits every time, use workers of one type and the same libraries"
        yield note("processors", kinds, advice)
    elif types:
        yield good("processors", kinds)


def pinned(client: Client) -> Iterator[Finding]:
    """BLAS threads on workers: passes pin them, other work there may not."""
    limits = told_by_workers(client, blas_threads)
    if any("1" not in values for values in limits.values()):
        advice = "start workers with OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1"
        yield note("worker threads", "BLAS is not limited to one thread on workers", advice)
    else:
        yield good("worker threads", "BLAS limited to one thread")


def told_by_workers(
    client: Client, function: Callable[[], Any], on_error: Literal["return", "ignore"] = "return"
) -> dict[str, Any]:
    """What a function returns on each worker, within the time that anyone is waited for."""
    run = partial(client.run, function, on_error=on_error)
    answers: dict[str, Any] = within(ANSWERED_WITHIN, ALL, run)
    return answers


def blas_threads() -> list[str]:
    """What limits the thread pools of this process; run on workers."""
    return [os.environ.get(name, "") for name in THREAD_VARIABLES]


def shut(address: str) -> Iterator[Finding]:
    """A scheduler runs whatever code it is sent: it must not be open to a network."""
    parts = urlsplit(address)
    if parts.scheme == "tls" or parts.hostname in LOOPBACK:
        yield good("cluster security", f"{parts.scheme}://{parts.hostname}")
    else:
        yield note(
            "cluster security",
            f"{address} is open: whoever reaches it can run code there",
            "use TLS (deploy/), or keep it in a network of its own",
        )
