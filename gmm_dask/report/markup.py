"""Pieces of HTML: everything that comes from a run is escaped here."""

from __future__ import annotations

import io
import warnings
from base64 import b64encode
from collections.abc import Callable, Iterable
from html import escape
from typing import Any


def section(title: str, *parts: str) -> str:
    """A heading and what belongs under it; nothing where there is nothing."""
    body = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>\n" if body else ""


def paragraph(text: str, kind: str = "") -> str:
    """A sentence or two."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def code(text: str) -> str:
    """Lines to be copied."""
    return f"<pre><code>{escape(text)}</code></pre>"


def facts(pairs: Iterable[tuple[str, object]], kind: str = "facts") -> str:
    """Names and values beneath each other."""
    lines = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>" for name, value in pairs
    )
    return f'<dl class="{kind}">{"".join(lines)}</dl>'


def numbers(pairs: Iterable[tuple[str, str]]) -> str:
    """The result in a few large numbers, each with what it is."""
    cards = (
        f'<div class="card"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, value in pairs
    )
    return f'<div class="cards">{"".join(cards)}</div>'


def picture(
    draw: Callable[[Any], object], width: float, height: float, alt: str, caption: str = ""
) -> str:
    """A figure of so many inches as an SVG inside the page; points are drawn as pixels."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.size": 9, "svg.fonttype": "path", "svg.hashsalt": "gmm-dask"}):
        figure = Figure(figsize=(width, height), dpi=160, layout="constrained")
        draw(figure)
        drawn = io.BytesIO()
        with warnings.catch_warnings():
            # Names of features may be in scripts that the font lacks; a box stands for them.
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
            warnings.filterwarnings("ignore", "Matplotlib currently does not support", UserWarning)
            figure.savefig(drawn, format="svg", metadata={"Date": None})
    content = b64encode(drawn.getvalue()).decode("ascii")
    legend = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><img alt="{escape(alt)}" style="width:{width * 96:.0f}px" '
        f'src="data:image/svg+xml;base64,{content}">{legend}</figure>'
    )
