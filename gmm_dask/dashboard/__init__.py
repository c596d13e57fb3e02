"""Fits as they run, on the scheduler's own dashboard and among its metrics.

    dask scheduler --preload gmm_dask.dashboard

or nothing at all where we start the cluster: the page is at /gmm, the metrics at /metrics. It
listens to what fits tell under the topic `gmm-dask`; no fit waits for it, nor fails by it. Without
bokeh there is no page, without prometheus-client no metrics.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from gmm_dask.borrowed.of_distributed import PAGES
from gmm_dask.borrowed.part import gone
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
        except Exception:  # a page less is no reason to lose a cluster
            logger.exception("fits cannot be shown on this dashboard")


def _show_page(scheduler: Any, listener: Listener) -> None:
    if PAGES.problem() is not None:
        gone(PAGES)
        return
    with suppress(ImportError):  # no bokeh
        from gmm_dask.dashboard.page import add_page

        add_page(scheduler, listener)


def _show_metrics(scheduler: Any, listener: Listener) -> None:
    del scheduler
    with suppress(ImportError):
        from gmm_dask.dashboard.metrics import expose

        expose(listener)
