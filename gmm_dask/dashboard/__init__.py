"""Fits as they run, on the scheduler's own dashboard and among its metrics.

    dask scheduler --preload gmm_dask.dashboard

or nothing at all where we start the cluster: the page is at /gmm, the metrics at /metrics. It
listens to what fits tell under the topic `gmm-dask`; no fit waits for it, nor fails by it. Without
bokeh there is no page, without prometheus-client no metrics.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from gmm_dask.chunked.borrowed.distributed.pages import PAGES
from gmm_dask.chunked.borrowed.part import gone
from gmm_dask.dashboard.listener import Listener

__all__ = ["Listener", "dask_setup"]

logger = logging.getLogger(__name__)


def dask_setup(scheduler: Any) -> None:
    """Listen on this scheduler; called by Dask when it starts."""
    if Listener.name in scheduler.plugins:
        return
    listener = Listener(scheduler)
    scheduler.add_plugin(listener)
    for show in (_show_page, _show_metrics):
        try:
            show(scheduler, listener)
        except Exception as problem:  # a page less is no reason to lose a cluster
            listener.without_page = listener.without_page or f"{type(problem).__name__}: {problem}"
            logger.exception("fits cannot be shown on this dashboard")


def _show_page(scheduler: Any, listener: Listener) -> None:
    if PAGES.problem() is not None:
        gone(PAGES)
        listener.without_page = PAGES.told()
        return
    if find_spec("bokeh") is None:
        listener.without_page = "its scheduler has no bokeh (pip install 'gmm-dask[dashboard]')"
        return
    from gmm_dask.dashboard.page import add_page

    if not add_page(scheduler, listener):
        listener.without_page = "its scheduler was started without a dashboard"


def _show_metrics(scheduler: Any, listener: Listener) -> None:
    del scheduler
    with suppress(ImportError):
        from gmm_dask.dashboard.metrics import expose

        expose(listener)
