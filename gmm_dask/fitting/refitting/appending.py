"""Rows that are still being appended: waited for, once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from gmm_dask.chunked.sources.protocol import AbsentError
from gmm_dask.store.addresses import patience
from gmm_dask.store.retries import asked_again

logger = logging.getLogger("gmm_dask")

T = TypeVar("T")


def once_written(look: Callable[[], T], verify: Callable[[], None], address: str) -> T:
    """What a look finds; where chunks are absent, once more when they are there.

    Zarr declares new rows before it writes them, so they may be absent because their writer is at
    work. Nobody is waited for twice: chunks that do not come were lost.
    """
    try:
        return look()
    except AbsentError as problem:
        seconds = patience()
        logger.warning("%s. If it is being written, it is waited for: %g s", problem, seconds)
    asked_again(verify, f"the writer of {address}", _is_absent, seconds)
    return look()


def _is_absent(problem: Exception) -> bool:
    return isinstance(problem, AbsentError)
