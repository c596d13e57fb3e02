"""Where a cluster shows its fits, if it does."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from distributed import Client

from gmm_dask.store.retries import within

logger = logging.getLogger("gmm_dask")

LOOPBACK = "127.0.0.1"
LOOPBACKS = (LOOPBACK, "localhost", "::1", "lo")
PAGE = "gmm"
"""Where `gmm_dask.dashboard` shows fits."""
LISTENER = "gmm-dask"
"""The plugin that hears fits on a scheduler."""
CONNECT_SECONDS = 15


def page_of(client: Client) -> str | None:
    """The page of fits on a cluster's dashboard; on this machine, only if it opens."""
    link = client.dashboard_link or ""
    page = f"{link.rpartition('/')[0]}/{PAGE}"
    if not link:
        return None
    shown = opens(page) if urlsplit(link).hostname in LOOPBACKS else not page_problem(client)
    return page if shown else None


def page_told(client: Client) -> str:
    """Where the page of fits is, or why there is none."""
    return page_of(client) or f"none, for {page_problem(client) or 'it does not open from here'}"


def page_problem(client: Client) -> str | None:
    """Why a scheduler does not show fits; None where it does, or cannot be asked."""
    ask = partial(client.run_on_scheduler, without_page)
    try:
        reason: str | None = within(CONNECT_SECONDS, "the scheduler", ask)
    except ModuleNotFoundError as problem:
        return f"its scheduler has no {problem.name or 'gmm-dask'}"
    except Exception as problem:  # nobody fits worse without a page
        logger.debug("the scheduler was asked for its page of fits: %s", problem)
        return None
    return reason


def without_page(dask_scheduler: Any) -> str | None:
    """Why this scheduler shows no fits; run on it."""
    listener = dask_scheduler.plugins.get(LISTENER)
    if listener is None:
        return "its scheduler was started without --preload gmm_dask.dashboard"
    return getattr(listener, "without_page", None)


def opens(page: str) -> bool:
    """Whether a browser on this machine would find it."""
    try:
        with build_opener(ProxyHandler({})).open(page, timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False
