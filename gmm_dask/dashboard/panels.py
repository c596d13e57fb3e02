"""The page's pictures, in Bokeh: each a figure, its columns, and what else changes with the fit.

Colours are those of all our pictures; text takes its colours from the page (`page.js`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    CustomJSTickFormatter,
    DataRange1d,
    FactorRange,
    HoverTool,
    LinearAxis,
    NumeralTickFormatter,
    Span,
)
from bokeh.plotting import figure

from gmm_dask.dashboard import columns
from gmm_dask.dashboard.columns import Columns
from gmm_dask.dashboard.fits import FollowedFit
from gmm_dask.dashboard.phases import PHASES
from gmm_dask.plots.colours import PALETTE

BLUE, ORANGE, GREEN, RED, PINK, SKY = PALETTE[:6]
PHASE_COLOURS = dict(zip(PHASES, (SKY, BLUE, GREEN, "#9A9A9A", ORANGE, PINK), strict=True))
DASHES = ("solid", "dashed", "dotted", "dotdash")
ITERATION = ("iteration", "@iteration")
IN_LEGEND = 12
SCALED = """
for (const [size, letter] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) {
  if (tick >= size) { return Number((tick / size).toPrecision(3)) + letter }
}
return String(Number(tick.toPrecision(3)))
"""


@dataclass(frozen=True, eq=False)
class Panel:
    """A figure that can be shown another state of a fit."""

    figure: Any
    source: Any
    columns: Callable[[FollowedFit], Columns]
    adjust: Callable[[FollowedFit], None] | None = None

    def show(self, fit: FollowedFit) -> None:
        """Draw this fit as it is now."""
        if self.adjust is not None:
            self.adjust(fit)
        self.source.data = self.columns(fit)


def panels() -> list[Panel]:
    """All of them, in reading order."""
    return [likelihood(), change(), weights(), throughput(), phases(), workers()]


def plain(name: str, title: str, x: str, y: str, **options: Any) -> Any:
    """An empty figure in the page's look."""
    made = figure(
        name=name,
        title=title,
        x_axis_label=x,
        y_axis_label=y,
        tools="pan,box_zoom,wheel_zoom,reset",
        toolbar_location="right",
        sizing_mode="stretch_both",
        background_fill_color=None,
        border_fill_color=None,
        **options,
    )
    made.toolbar.autohide = True
    made.toolbar.active_drag = None
    made.axis.axis_label_text_font_style = "normal"
    made.xgrid.visible = False
    if x == "iteration":
        made.xaxis.ticker = BasicTicker(min_interval=1)
    return made


def likelihood() -> Panel:
    """Mean log-likelihood by iteration."""
    source = ColumnDataSource({"iteration": [], "likelihood": [], "step": []})
    made = plain("likelihood", "Mean log-likelihood", "iteration", "nats per row")
    made.line("iteration", "likelihood", source=source, line_width=2, color=BLUE)
    made.scatter("iteration", "likelihood", source=source, size=5, color=BLUE)
    tips = [ITERATION, ("mean log-likelihood", "@likelihood{0.000000}"), ("step", "@step")]
    made.add_tools(HoverTool(tooltips=tips, mode="vline", renderers=[made.renderers[-1]]))
    return Panel(made, source, columns.likelihoods)


def change() -> Panel:
    """Changes on a logarithmic axis: gains and falls, and the tolerance."""
    source = ColumnDataSource(columns_of("iteration", "size", "change", "kind", "mark", "colour"))
    made = plain(
        "change",
        "Change of the mean log-likelihood",
        "iteration",
        "nats per row",
        y_axis_type="log",
    )
    made.line("iteration", "size", source=source, color="#9A9A9A")
    marks = made.scatter(
        "iteration",
        "size",
        source=source,
        size=7,
        marker="mark",
        color="colour",
        legend_field="kind",
    )
    tolerance = Span(dimension="width", line_dash="dashed", line_color=ORANGE, visible=False)
    made.add_layout(tolerance)
    made.legend.location, made.legend.orientation = "top_right", "horizontal"
    tips = [ITERATION, ("change", "@change{0.00e+0}")]
    made.add_tools(HoverTool(tooltips=tips, renderers=[marks]))

    def adjust(fit: FollowedFit) -> None:
        made.legend[0].visible = any(line.change and line.change < 0 for line in fit.lines)
        tolerance.visible = bool(fit.tol)
        tolerance.location = fit.tol or None
        note = f" (dashed: tolerance {fit.tol:g})" if fit.tol else ""
        made.title.text = f"Change of the mean log-likelihood{note}"

    return Panel(made, source, _marked_changes, adjust)


def columns_of(*names: str) -> Columns:
    """Columns without rows."""
    return {name: [] for name in names}


def _marked_changes(fit: FollowedFit) -> Columns:
    changes = columns.changes(fit)
    fell = [kind == "fall" for kind in changes["kind"]]
    return {
        **changes,
        "mark": ["inverted_triangle" if each else "circle" for each in fell],
        "colour": [RED if each else BLUE for each in fell],
    }


def weights() -> Panel:
    """A line for the weight of every component."""
    source = ColumnDataSource(columns_of("component", "iterations", "weights", "colour", "dash"))
    made = plain(
        "weights",
        "Weights of the components",
        "iteration",
        "share of the rows",
        y_range=DataRange1d(start=0),
    )
    made.multi_line(
        "iterations",
        "weights",
        source=source,
        line_width=2,
        line_color="colour",
        line_dash="dash",
        legend_field="component",
    )
    made.yaxis.formatter = NumeralTickFormatter(format="0 %")
    made.add_layout(made.legend[0], "right")
    tips = [("component", "@component"), ("iteration", "$x{0}"), ("weight", "$y{0.0000}")]
    made.add_tools(HoverTool(tooltips=tips, line_policy="nearest"))

    def adjust(fit: FollowedFit) -> None:
        count = len(fit.lines[-1].weights) if fit.lines else 0
        made.legend[0].visible = 1 < count <= IN_LEGEND

    return Panel(made, source, _coloured_weights, adjust)


def _coloured_weights(fit: FollowedFit) -> Columns:
    values = columns.weights(fit)
    numbers = range(len(values["component"]))
    return {
        **values,
        "colour": [PALETTE[k % len(PALETTE)] for k in numbers],
        "dash": [DASHES[k // len(PALETTE) % len(DASHES)] for k in numbers],
    }


def throughput() -> Panel:
    """Rows a second, and on the right axis the same in bytes."""
    source = ColumnDataSource(columns_of("iteration", "rows", "bytes"))
    made = plain(
        "throughput",
        "Throughput of the passes",
        "iteration",
        "rows per second",
        y_range=DataRange1d(start=0),
    )
    rows = made.line("iteration", "rows", source=source, line_width=2, color=GREEN)
    dots = made.scatter("iteration", "rows", source=source, size=5, color=GREEN)
    made.extra_y_ranges = {"bytes": DataRange1d(start=0)}
    scale = made.line("iteration", "bytes", source=source, y_range_name="bytes", line_alpha=0)
    made.y_range.renderers, made.extra_y_ranges["bytes"].renderers = [rows, dots], [scale]
    made.add_layout(LinearAxis(y_range_name="bytes", axis_label="bytes per second"), "right")
    made.yaxis[0].formatter = CustomJSTickFormatter(code=SCALED)
    made.yaxis[1].formatter = CustomJSTickFormatter(code=SCALED)
    made.axis.axis_label_text_font_style = "normal"
    tips = [ITERATION, ("rows/s", "@rows{0,0}"), ("bytes/s", "@bytes{0,0}")]
    made.add_tools(HoverTool(tooltips=tips, mode="vline", renderers=[dots]))
    return Panel(made, source, columns.throughput)


def phases() -> Panel:
    """Stacked bars: where the seconds of an iteration go."""
    source = ColumnDataSource(columns_of("iteration", *PHASES))
    made = plain(
        "phases",
        "Where an iteration's time goes",
        "iteration",
        "seconds",
        y_range=DataRange1d(start=0),
    )
    made.vbar_stack(
        list(PHASES),
        x="iteration",
        width=0.9,
        source=source,
        color=[PHASE_COLOURS[name] for name in PHASES],
        legend_label=list(PHASES),
    )
    made.add_layout(made.legend[0], "right")
    made.legend[0].items = made.legend[0].items[::-1]  # as the bars are stacked
    tips = [ITERATION, *((name, f"@{{{name}}}{{0.0000}} s") for name in PHASES)]
    made.add_tools(HoverTool(tooltips=tips, mode="vline", renderers=[made.renderers[0]]))
    return Panel(made, source, columns.phases)


def workers() -> Panel:
    """Bars: what every worker had to do in the last pass."""
    source = ColumnDataSource(columns_of("worker", "seconds", "threads"))
    made = plain(
        "workers",
        "Balance of the workers",
        "seconds in tasks of the last pass, per thread",
        "worker",
        y_range=FactorRange(),
        x_range=DataRange1d(start=0),
    )
    bars = made.hbar(y="worker", right="seconds", height=0.8, source=source, color=SKY)
    made.ygrid.visible, made.xgrid.visible = False, True
    tips = [("worker", "@worker"), ("threads", "@threads")]
    tips += [("seconds of each", "@seconds{0.000}")]
    made.add_tools(HoverTool(tooltips=tips))

    def adjust(fit: FollowedFit) -> None:
        shown = columns.workers(fit)["worker"]
        made.y_range.factors = shown[::-1]
        bars.glyph.height = min(0.8, 0.15 * len(shown))
        made.title.text = columns.balance(fit.workers)

    return Panel(made, source, columns.workers, adjust)
