"""The cluster that someone asked for, or one of this machine's own, or none for small data.

Knows sizes and wishes; knows nothing of what will be computed there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from dask.system import CPU_COUNT
from distributed import Client

from gmm_dask.clusters.cluster_class import made
from gmm_dask.clusters.local import started
from gmm_dask.clusters.scheduler import reached
from gmm_dask.settings.cluster import ClusterOptions

logger = logging.getLogger("gmm_dask")

LARGE_BYTES = 256 * 2**20
"""Rows of fewer bytes are fitted in this process: a cluster of one's own takes seconds to start."""


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
