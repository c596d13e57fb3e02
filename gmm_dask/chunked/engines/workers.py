"""What a cluster says of itself, and for how long it is asked: its workers and their memory."""

from __future__ import annotations

import logging
from typing import Any

from distributed import Client

from gmm_dask.chunked.borrowed.distributed.questions import Silent, answer
from gmm_dask.chunked.engines.faults import ClusterError
from gmm_dask.chunked.rows import Rows
from gmm_dask.chunked.sources.memory_source import MemorySource

logger = logging.getLogger(__name__)

ANSWERED_WITHIN, HEARD_WITHIN = 60.0, 5.0
"""Seconds that a scheduler may take to answer; to hear of an event, which may be lost."""


def asked(client: Client, question: str, seconds: float | None = None, **details: Any) -> Any:
    """The scheduler's answer; an error once it has been silent for so many seconds."""
    try:
        return answer(client, question, seconds or ANSWERED_WITHIN, **details)
    except Silent as problem:
        raise ClusterError(
            f"{problem}: it is stopped, overloaded or cut off; see to it, or start another, "
            "then resume"
        ) from None


def fits_in_memory(client: Client, rows: Rows, share: float) -> bool:
    """Whether all rows take at most this share of the memory that workers may use together."""
    if isinstance(rows.source, MemorySource):
        return True  # an array of this process: streaming would send it anew in every pass
    workers = asked(client, "identity", n_workers=-1)["workers"].values()
    limits = [int(worker["memory_limit"] or 0) for worker in workers]
    if not all(limits):
        logger.info("workers have no memory limit: rows are streamed; pass cache='memory' to hold")
        return False
    return rows.nbytes <= share * sum(limits)
