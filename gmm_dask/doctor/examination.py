"""All examinations in order; one that fails is a finding itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gmm_dask.doctor import machine, prefect, source, store
from gmm_dask.doctor.cluster import on_cluster
from gmm_dask.doctor.finding import Finding, bad


def examine(
    data: str | None = None,
    *,
    opening: dict[str, Any] | None = None,
    scheduler: str | None = None,
    run: str | None = None,
    reg_covar: float = source.REG_COVAR,
) -> Iterator[Finding]:
    """Look at this machine, and at whatever else is named."""
    yield from guarded("versions", machine.versions)
    yield from guarded("private parts", machine.parts)
    yield from guarded("threads", machine.threads)
    yield from guarded("memory", machine.memory)
    if scheduler is not None:
        yield from guarded("cluster", lambda: on_cluster(scheduler))
    yield from guarded("Prefect", prefect.server)
    if data is not None:
        yield from guarded("data", lambda: source.rows_of(data, opening or {}, reg_covar))
    if run is not None:
        yield from guarded("run folder", lambda: store.writable(run))


def guarded(subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What was found, and why the rest could not be."""
    try:
        yield from look()
    except Exception as problem:
        why = str(problem) or type(problem).__name__
        yield bad(subject, why, "mend this first, then look again")
