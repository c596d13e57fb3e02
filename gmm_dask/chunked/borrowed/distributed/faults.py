"""What tasks fail with that found no worker."""

from __future__ import annotations

from distributed import scheduler as schedulers

from gmm_dask.chunked.borrowed.part import Borrowed

LOST_WORKERS: tuple[type[Exception], ...] = tuple(
    getattr(schedulers, name)
    for name in ("NoWorkerError", "NoValidWorkerError")
    if hasattr(schedulers, name)
)
"""What a task fails with that found no worker to run on; a pass is tried again after it."""


def _look_at_faults() -> None:
    if len(LOST_WORKERS) < 2:
        raise AttributeError("distributed.scheduler names such faults otherwise")


FAULTS = Borrowed(
    "distributed",
    "names for tasks that found no worker (scheduler.NoWorkerError, NoValidWorkerError)",
    "a pass that lost all its workers ends the fit, which can be resumed, and is not tried again",
    _look_at_faults,
)
