"""The page on the dashboard: chooses a fit, and shows it anew when something was told of it.

Knows Bokeh's server and Dask's templates; what is shown is up to `panels` and `words`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bokeh.models import CustomJS, Div, Select
from tornado.ioloop import IOLoop

from gmm_dask.chunked.borrowed.distributed.pages import page_making
from gmm_dask.dashboard import text
from gmm_dask.dashboard.fits import FollowedFit
from gmm_dask.dashboard.listener import Listener
from gmm_dask.dashboard.panels import panels

ADDRESS, IN_MENU = "gmm", "mixtures"
EVERY = 500
"""Milliseconds between two looks."""
HERE = Path(__file__).parent
CHOOSER = """
:host { width: min(100%, 720px); }
label { color: var(--faint); font-size: 12px; }
select.bk-input {
  appearance: auto; background: var(--select); color: var(--ink); border-color: var(--edge);
}
"""


def add_page(scheduler: Any, listener: Listener) -> bool:
    """Serve the page beside Dask's own, and name it in their menu; False without a dashboard."""
    servers = scheduler.http_application.applications
    prefix = next((server.prefix for server in servers if hasattr(server, "prefix")), None)
    if prefix is None:
        return False
    _, application, shared_by_all = page_making()
    shared = shared_by_all(scheduler)
    if IN_MENU not in shared["pages"]:
        shared["pages"].insert(1, IN_MENU)

    def show(_: Any, extra: dict[str, Any], document: Any) -> None:
        Page(listener, document).open(extra)

    pages = {f"/{name}": show for name in (ADDRESS, IN_MENU)}
    added = application(pages, scheduler, prefix=prefix, template_variables=shared)
    scheduler.http_application.add_application(added)
    added.initialize(IOLoop.current())
    added.start()
    return True


class Page:
    """One browser's view."""

    def __init__(self, listener: Listener, document: Any) -> None:
        self.listener, self.document = listener, document
        self.panels = panels()
        self.choice = Select(
            name="choice", title="Fit (newest first)", options=[], stylesheets=[CHOOSER]
        )
        self.facts = Div(name="facts", text=text.facts(None), sizing_mode="stretch_width")
        self.happened = Div(name="happened", text="", sizing_mode="stretch_width")
        self._shown: tuple[str, int] | None = None
        self._chosen: str | None = None
        self.choice.on_change("value", self._choose)

    def open(self, extra: dict[str, Any]) -> None:
        """Fill the document."""
        figures = [panel.figure for panel in self.panels]
        document = self.document
        for root in (self.choice, self.facts, self.happened, *figures):
            document.add_root(root)
        document.title = "Dask: mixtures being fitted"
        document.template = page_making()[0].from_string((HERE / "page.html").read_text("utf-8"))
        document.template_variables.update(extra)
        document.template_variables["panels"] = [made.name for made in figures]
        document.template_variables["without_fits"] = not self.listener.fits.newest_first()
        paint = CustomJS(args={"figures": figures}, code=(HERE / "page.js").read_text("utf-8"))
        document.js_on_event("document_ready", paint)
        appear = 'document.getElementById("fits").classList.remove("without-fits")'
        self.choice.js_on_change("options", CustomJS(code=appear))
        self.update()
        document.add_periodic_callback(self.update, EVERY)

    def update(self) -> None:
        """Look whether something new was told."""
        fits = self.listener.fits.newest_first()
        if not fits:
            return
        self.listener.look_at_queues()
        self._offer(fits)
        fit = next((fit for fit in fits if fit.run == self._chosen), fits[0])
        self.facts.text = text.facts(fit)
        if self._shown != (fit.run, fit.version):
            self._shown = fit.run, fit.version
            self.happened.text = text.happened(fit)
            for panel in self.panels:
                panel.show(fit)

    def _offer(self, fits: list[FollowedFit]) -> None:
        """The fits to choose among: the newest one, unless someone has chosen."""
        if self._chosen not in {fit.run for fit in fits}:
            self._chosen = None
        self.choice.options = [(fit.run, text.short(fit.name)) for fit in fits]
        shown = self._chosen or fits[0].run
        if self.choice.value != shown:
            self.choice.value = shown

    def _choose(self, attribute: str, before: str, after: str) -> None:
        """By hand; the newest one is not held on to."""
        del attribute, before
        newest = self.listener.fits.newest_first()[0].run
        self._chosen = None if after == newest else after
        self.update()
