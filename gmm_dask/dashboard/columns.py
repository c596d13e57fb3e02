"""From a fit to the columns that each panel draws: a few hundred points, however long it is.

Knows numbers only, not how they are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gmm_dask.dashboard.fits import FollowedFit, Line, Load
from gmm_dask.dashboard.phases import PHASES

Columns: TypeAlias = dict[str, Any]

MOST_POINTS, MOST_BARS, MOST_WORKERS = 400, 48, 16


def thinned(lines: Sequence[Line]) -> list[Line]:
    """Evenly chosen, the first and the last among them."""
    if len(lines) <= MOST_POINTS:
        return list(lines)
    chosen = np.linspace(0, len(lines) - 1, MOST_POINTS).round().astype(int)
    return [lines[i] for i in chosen]


def likelihoods(fit: FollowedFit) -> Columns:
    """Mean log-likelihood by iteration."""
    lines = [line for line in thinned(fit.lines) if np.isfinite(line.mean_log_likelihood)]
    return {
        "iteration": [line.iteration for line in lines],
        "likelihood": [line.mean_log_likelihood for line in lines],
        "step": [line.step for line in lines],
    }


def changes(fit: FollowedFit) -> Columns:
    """Sizes of changes, for a logarithmic axis: no change has none."""
    pairs = [(line.iteration, line.change) for line in thinned(fit.lines) if line.change]
    return {
        "iteration": [iteration for iteration, _ in pairs],
        "size": [abs(change) for _, change in pairs],
        "change": [change for _, change in pairs],
        "kind": ["gain" if change > 0 else "fall" for _, change in pairs],
    }


def weights(fit: FollowedFit) -> Columns:
    """One line per component; shorter where it was not there, or nothing was told."""
    lines = thinned(fit.lines)
    count = max((len(line.weights) for line in lines), default=0)
    having = [[line for line in lines if len(line.weights) > k] for k in range(count)]
    return {
        "component": [str(k) for k in range(count)],
        "iterations": [[line.iteration for line in some] for some in having],
        "weights": [[float(line.weights[k]) for line in some] for k, some in enumerate(having)],
    }


def throughput(fit: FollowedFit) -> Columns:
    """Rows and bytes a second, of the passes of each iteration."""
    lines = thinned(fit.lines)
    return {
        "iteration": [line.iteration for line in lines],
        "rows": [line.rows_per_second for line in lines],
        "bytes": [line.bytes_per_second for line in lines],
    }


def phases(fit: FollowedFit) -> Columns:
    """Where the seconds of the newest iterations went."""
    lines = [line for line in fit.lines[-MOST_BARS:] if line.phases]
    columns: Columns = {name: [line.phases.get(name, 0.0) for line in lines] for name in PHASES}
    return {"iteration": [line.iteration for line in lines], **columns}


def workers(fit: FollowedFit) -> Columns:
    """Seconds of each worker's threads in the last pass, the busiest first; of many, both ends."""
    busiest = sorted(fit.workers.items(), key=lambda item: -item[1].seconds)
    if len(busiest) > MOST_WORKERS:
        busiest = busiest[: MOST_WORKERS // 2] + busiest[-MOST_WORKERS // 2 :]
    return {
        "worker": [name for name, _ in busiest],
        "seconds": [load.seconds for _, load in busiest],
        "threads": [load.threads for _, load in busiest],
    }


def balance(workers: Mapping[str, Load]) -> str:
    """How even it is, in words; a worker of four threads counts as four."""
    seconds = [load.seconds for load in workers.values()]
    threads = [load.threads for load in workers.values()]
    if len(seconds) < 2 or not sum(seconds):
        return "Balance of the workers"
    idle = 1 - np.average(seconds, weights=threads) / max(seconds)
    return f"Balance of {len(seconds)} workers: {idle:.0%} idle beside the busiest"
