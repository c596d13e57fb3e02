"""Tables as HTML: in notebooks, and in reports."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gmm_dask.mixture.tables import Table

LEFT = "text-align:left"
RIGHT = "text-align:right;font-variant-numeric:tabular-nums;white-space:pre"


def html_table(table: Table) -> str:
    """The table with every cell escaped; styled inline, for pages of others."""
    head = _line(table, table.headings, "th")
    body = "".join(f"<tr>{_line(table, line, 'td')}</tr>\n" for line in table.lines)
    title = f"<p><b>{escape(table.title)}</b></p>" if table.title else ""
    note = f"<p>{escape(table.note)}</p>" if table.note else ""
    lines = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>"
    return f'{title}<div style="overflow-x:auto">{lines}</div>{note}\n'


def _line(table: Table, cells: Sequence[str], tag: str) -> str:
    return "".join(
        f'<{tag} style="{LEFT if j in table.left else RIGHT}">{escape(cell)}</{tag}>'
        for j, cell in enumerate(cells)
    )
