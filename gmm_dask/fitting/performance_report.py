"""Dask's own performance report of a fit, beside ours in the run folder.

Knows Dask's report and the folder; a report that cannot be made costs no fit.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client, performance_report

from gmm_dask.runs.folder import RunFolder
from gmm_dask.runs.layout import PERFORMANCE_REPORT

logger = logging.getLogger("gmm_dask")


@contextmanager
def performance_kept(folder: RunFolder, client: Client) -> Iterator[None]:
    """Keep Dask's report of all that the cluster does meanwhile: one page that needs no network."""
    with tempfile.TemporaryDirectory() as place, client.as_current():
        path = Path(place, PERFORMANCE_REPORT)
        report = performance_report(str(path), mode="inline")
        report.__enter__()
        try:
            yield
        finally:
            _keep(report, path, folder, client)


def _keep(report: performance_report, path: Path, folder: RunFolder, client: Client) -> None:
    if client.status != "running":
        logger.warning("no performance report: the scheduler is gone")
        return
    try:
        report.__exit__(None, None, None)
        folder.keep_performance_report(path.read_bytes())
    except Exception as problem:
        logger.warning("no performance report: %s: %s", type(problem).__name__, problem)
