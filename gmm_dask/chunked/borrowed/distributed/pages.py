"""Of what a scheduler makes the pages of its dashboard."""

from __future__ import annotations

from typing import Any

from gmm_dask.chunked.borrowed.part import Borrowed


def page_making() -> tuple[Any, Any, Any]:
    """Templates of Dask's pages, what serves one, and what all of them are told."""
    from distributed.dashboard.components.scheduler import env
    from distributed.dashboard.core import BokehApplication
    from distributed.dashboard.scheduler import template_variables

    return env, BokehApplication, template_variables


def _look_at_pages() -> None:
    try:
        import bokeh  # noqa: F401
    except ImportError:
        return  # no pages at all, and nobody misses ours
    page_making()


PAGES = Borrowed(
    "distributed",
    "parts of which its dashboard makes pages (BokehApplication, template_variables, env)",
    "there is no page of fits at /gmm",
    _look_at_pages,
)
