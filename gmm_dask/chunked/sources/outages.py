"""Stores of rows that do not answer: asked again for so long, then an error.

Knows what may pass; knows nothing of what is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gmm_dask.chunked.sources.protocol import OutageError
from gmm_dask.store.addresses import patience
from gmm_dask.store.retries import asked_again

T = TypeVar("T")


def patiently(read: Callable[[], T], what: str) -> T:
    """Read again where the network failed for a while; bad data fail at once."""
    seconds = patience()
    try:
        return asked_again(read, what, _may_pass, seconds)
    except (ConnectionError, TimeoutError) as problem:
        raise OutageError(
            f"{problem}; it was waited for {seconds:g} s (GMM_DASK_PATIENCE): look at the store's "
            "address, its credentials in the environment and the network, then resume"
        ) from problem


def _may_pass(problem: Exception) -> bool:
    return isinstance(problem, ConnectionError | TimeoutError)
