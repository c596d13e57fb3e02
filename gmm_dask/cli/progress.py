"""What a person sees of a running fit: a few live lines on a terminal, else one line a pass."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from gmm_dask.cli import output
from gmm_dask.fitting.events import TOLD
from gmm_dask.fitting.journal import iteration_line, time_left
from gmm_dask.fitting.run_loop import Progress

logger = logging.getLogger("gmm_dask")


class Display:
    """Shows entries of a history as they come."""

    def __init__(
        self, *, most: int | None = None, tol: float | None = None, dashboard: str | None = None
    ) -> None:
        self._most, self._tol, self._dashboard = most, tol, dashboard
        self._entries: list[Mapping[str, Any]] = []
        self._live: Live | None = None
        self._started = time.monotonic()

    def __enter__(self) -> Display:
        if output.live():
            first = self._page(Text("first pass: every row is checked"))
            self._live = Live(first, console=output.console(stderr=True), transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        if self._entries and self._live is not None:
            logger.info(iteration_line(self._entries[-1]))

    def tell(self, progress: Progress) -> None:
        """As a callback of a fit."""
        self.show(progress.entry)

    def show(self, entry: Mapping[str, Any]) -> None:
        """One entry of the history."""
        self._entries.append(entry)
        if self._live is None:
            logger.info(iteration_line(entry), extra={output.FACTS: facts_told(entry)})
        else:
            self._live.update(self._page(self._facts()))

    def _page(self, facts: Table | Text) -> Table:
        page = Table.grid(padding=(0, 1))
        page.add_row(Spinner("dots"), facts)
        if self._dashboard:
            page.add_row("", Text(f"dashboard {self._dashboard}", style="dim"))
        return page

    def _facts(self) -> Table:
        entry = self._entries[-1]
        change = entry.get("change")
        table = Table.grid(padding=(0, 2))
        for fact in facts_of(entry, self._most):
            table.add_row(*fact)
        left = time_left(self._entries, self._tol, self._most)
        spent = time.monotonic() - self._started
        table.add_row("change", "" if change is None else f"{change:+.2e}")
        table.add_row("time", f"{spent:.0f} s" + ("" if left is None else f", {left} left"))
        return table


def facts_told(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An iteration for logs that are read by programs; its own time is that of the line."""
    return {name: entry.get(name) for name in TOLD if name != "time"}


def facts_of(entry: Mapping[str, Any], most: int | None) -> list[tuple[str, str]]:
    """Names and values of an entry."""
    seconds = entry["seconds"] or math.inf
    of = "" if most is None else f" of at most {most}"
    return [
        ("pass", f"{entry['passes']}, iteration {entry['iteration']}{of}"),
        ("mean log-likelihood", f"{entry['mean_log_likelihood']:.6f}"),
        *([("objective", f"{entry['objective']:.6f}")] if "objective" in entry else []),
        ("components alive", str(entry["components"])),
        *([("weight of noise", f"{entry['noise']:.2%}")] if "noise" in entry else []),
        ("rate", f"{entry['rows'] / seconds / 1e6:.2f} M rows/s, "
                 f"{entry['bytes'] / seconds / 1e6:.0f} MB/s"),
    ]  # fmt: skip
