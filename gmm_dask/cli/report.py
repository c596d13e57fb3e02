"""`gmm-dask report`."""

from __future__ import annotations

import logging
from typing import Any

from gmm_dask.cli import options, output
from gmm_dask.mixture.refusals import NotInstalledError

logger = logging.getLogger("gmm_dask")

EXAMPLE = "gmm-dask report runs/rows"


def report(run: options.Run, json: options.Json = False) -> None:
    """Write the HTML report of a run again."""
    path = written(run)
    if json:
        output.result_json({"run": run, "report": str(path)})
    else:
        output.result(str(path))


def written(run: str) -> Any:
    """The path of the report."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise NotInstalledError(
            "a report needs matplotlib: pip install 'gmm-dask[report]'"
        ) from None
    from gmm_dask.report import write_report

    return write_report(run)


def try_report(run: str, *, fresh: bool = True) -> str | None:
    """The report's path, or None with a warning: a fit does not fail for want of pictures.

    Of a run in which nothing has happened, the one that is there already.
    """
    from gmm_dask.runs.documents import document_in
    from gmm_dask.runs.layout import REPORT

    if not fresh and (kept := document_in(run, REPORT)) is not None:
        return kept
    try:
        return str(written(run))
    except Exception as problem:
        logger.warning("no report: %s", problem)
        logger.debug("", exc_info=problem)
        return None
