"""The page's text: what a fit is and how it does, as HTML. Nothing told is taken for markup."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from html import escape

from gmm_dask.dashboard.fits import FollowedFit

MOST_SHOWN = 30
SILENCE_SECONDS = 60.0
"""As `gmm-dask watch` has it: without news for so long, and four times the last pass."""
STYLE = """<style>
  .fit { display: flex; flex-wrap: wrap; gap: 6px 28px; align-items: baseline; color: var(--ink); }
  .fit .what { flex: 1 1 100%; color: var(--faint); font-size: 14px; overflow-wrap: anywhere; }
  .fit .fact { min-width: 90px; }
  .fit .name { font-size: 12px; color: var(--faint); }
  .fit .value { font-size: 21px; font-variant-numeric: tabular-nums; white-space: nowrap; }
  .state { font-weight: bold; color: var(--ink); }
  .good { color: var(--good); } .alarm { color: var(--alarm); }
  .empty { color: var(--ink); font-size: 16px; line-height: 1.6; padding: 40px 8px; }
  pre { background: var(--panel); border: 1px solid var(--edge); padding: 10px; overflow: auto; }
  h2 { font-size: 13px; margin: 0 0 6px; color: var(--ink); }
  table { border-collapse: collapse; font-size: 13px; color: var(--ink); }
  td { padding: 2px 16px 2px 0; vertical-align: top; overflow-wrap: anywhere; }
  td.when { color: var(--faint); white-space: nowrap; font-variant-numeric: tabular-nums; }
</style>"""
EMPTY = f"""{STYLE}<div class="empty">
No fit has run on this scheduler yet. This page fills as soon as one begins:
<pre>gmm-dask fit rows.zarr -k 8 --scheduler ADDRESS</pre>
or, in Python, <code>gmm_dask.fit(rows, 8)</code> while a <code>distributed.Client</code> of this
scheduler is open.
</div>"""


def short(name: str) -> str:
    """The last two parts of a path: enough to choose by."""
    parts = name.rstrip("/").split("/")
    return "/".join(parts[-2:])


def facts(fit: FollowedFit | None) -> str:
    """The head of the page."""
    if fit is None:
        return EMPTY
    html = "".join(
        f'<div class="fact"><div class="name">{name}</div><div class="value">{value}</div></div>'
        for name, value in _facts(fit)
    )
    return (
        f'{STYLE}<div class="fit"><div class="what">{_state(fit)} · {_what(fit)}</div>{html}</div>'
    )


def _what(fit: FollowedFit) -> str:
    rows = f"{fit.rows:,} rows × {fit.features} features"
    named = "" if fit.source in fit.name else f" of {escape(fit.source)}"
    return f"{escape(fit.name)} · {rows}{named}"


def _state(fit: FollowedFit) -> str:
    silence = max(SILENCE_SECONDS, 4 * fit.lines[-1].seconds if fit.lines else 0.0)
    late = fit.running and fit.news_age > silence
    silent = f", silent for {fit.news_age:.0f} s" if late else ""
    outcome = _stage(fit)
    kind = {"finished": "good", "failed": "alarm", "driver gone": "alarm"}.get(fit.outcome, "")
    behind = " and ".join(short(name) for name in fit.behind)
    queued = f", queued behind {escape(behind)}" if fit.running and behind else ""
    return f'<span class="state {kind}">{escape(outcome)}{queued}{silent}</span>'


def _stage(fit: FollowedFit) -> str:
    if not fit.running or (fit.lines and not fit.compiling):
        return fit.outcome
    if fit.compiling:
        return f"compiling: {', '.join(sorted(fit.compiling)[:3])}"
    return "first pass: every row is checked"


def _facts(fit: FollowedFit) -> Iterable[tuple[str, str]]:
    if not fit.lines:
        return
    line = fit.lines[-1]
    yield "iteration", str(line.iteration)
    yield "mean log-likelihood", f"{line.mean_log_likelihood:.6f}"
    yield "change", "–" if line.change is None else f"{line.change:+.2e}"
    yield "components", f"{line.components} {fit.family}"
    if fit.candidates > 1:
        yield "candidates", str(fit.candidates)
    yield "rows per second", f"{_scaled(line.rows_per_second)}"
    yield "bytes per second", f"{_scaled(line.bytes_per_second)}B"
    if fit.left is not None:
        yield "time left", str(fit.left)
    if fit.checkpoint_age is not None and fit.running:
        yield "checkpoint", f"{fit.checkpoint_age:.0f} s ago"


def _scaled(value: float) -> str:
    for power, letter in ((9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:.3g} {letter}"
    return f"{value:.3g} "


def happened(fit: FollowedFit | None) -> str:
    """What has happened, the newest first."""
    if fit is None:
        return ""
    newest = list(fit.happened)[::-1][:MOST_SHOWN]
    lines = "".join(
        f'<tr><td class="when">{datetime.fromtimestamp(when):%H:%M:%S}</td>'
        f"<td>{escape(what)}</td></tr>"
        for when, what in newest
    )
    body = f"<table>{lines}</table>" if lines else "nothing out of the ordinary so far"
    return f'{STYLE}<h2>Events</h2><div style="color: var(--faint)">{body}</div>'
