"""Which faults a pass survives by being run again, and the errors for those it does not."""

from __future__ import annotations

from distributed import KilledWorker
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError

from gmm_dask.chunked.borrowed.distributed.faults import LOST_WORKERS


class ClusterError(RuntimeError):
    """The cluster could not finish a pass: says what was tried and what to look at."""


class BlocksKilledWorkers(ClusterError):  # noqa: N818 - named for what happened
    """The same blocks ended worker after worker, most often for want of memory."""


_TRANSIENT: tuple[type[BaseException], ...] = (
    FutureCancelledError,
    CommClosedError,
    *LOST_WORKERS,
    ConnectionError,
    TimeoutError,
)


def passes_over(problem: BaseException) -> bool:
    """True for faults of the cluster. Data, codecs and arithmetic fail the same way twice."""
    if isinstance(problem, _TRANSIENT):
        return True
    # distributed reports a failed connection as a bare OSError.
    return type(problem) is OSError and "connect" in str(problem)


def kills_workers(problem: BaseException) -> bool:
    return isinstance(problem, KilledWorker)
