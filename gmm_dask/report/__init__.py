"""A run as one HTML file that needs nothing else: no network, no script, and that prints.

`write_report` puts it into the run's own folder, finished or not; matplotlib draws the pictures.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template

from gmm_dask.report import clusters, components, figures, overview
from gmm_dask.report.markup import section
from gmm_dask.report.reported_run import ReportedRun, reported_run
from gmm_dask.runs.documents import keep_document
from gmm_dask.runs.layout import REPORT
from gmm_dask.store.location import Location

__all__ = ["render", "write_report"]


def write_report(run: Location, *, source: object = None) -> str:
    """Write `report.html` of a run, in place of an earlier one, and give its path or URL.

    Rows in the pictures are the sample that the run has kept; one that has none can be given
    its `source`, which is then read once.
    """
    page = render(reported_run(run, source))
    return keep_document(run, REPORT, page.encode("utf-8"))


def render(run: ReportedRun) -> str:
    """The page."""
    parts = [
        overview.result(run),
        figures.missing_rows(run),
        figures.selection(run),
        overview.origin(run),
        figures.convergence(run),
        components.components(run),
        section("Weights and means", figures.weights_and_means(run)),
        clusters.clusters(run),
        figures.pairs(run),
        figures.densities(run),
        components.events(run),
        figures.time_per_pass(run),
        components.identities(run),
        overview.features(run),
        overview.going_on(run),
    ]
    template = files("gmm_dask.report").joinpath("template.html").read_text("utf-8")
    return Template(template).substitute(
        title=escape(overview.title(run)),
        status=escape(overview.status(run)),
        body="\n".join(filter(None, parts)),
        footer=escape(overview.footer(run)),
    )
