"""Blocks that are suspected of ending workers: they were in hand when workers were lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from gmm_dask.chunked.engines.faults import BlocksKilledWorkers
from gmm_dask.chunked.engines.keys import is_share
from gmm_dask.chunked.engines.shares import Runs
from gmm_dask.chunked.rows import Rows


def fallen(
    events: Iterable[tuple[float, Mapping[str, Any]]], run: str, shares: Runs, deaths: int
) -> Runs:
    """Shares that so many workers had in hand when they were lost, by the scheduler's record.

    Where few workers are, a deadly block has them all before Dask counts enough deaths of it.
    """
    lost = [
        {key[1] for key in event["processing-tasks"] if is_share(key, run, len(shares))}
        for _, event in events
        if event.get("action") == "remove-worker"
    ]
    times = Counter(share for in_hand in lost for share in in_hand)
    return [shares[i] for i in sorted(times) if times[i] >= deaths]


def killed(rows: Rows, suspects: Runs) -> BlocksKilledWorkers:
    """The error that names them, and their rows."""
    cuts = rows.cuts
    blocks = ", ".join(
        f"{first}–{last - 1} (rows {cuts[first]}–{cuts[last] - 1})" for first, last in suspects
    )
    return BlocksKilledWorkers(
        f"workers ended one after another while they had blocks {blocks} of "
        f"{rows.source.address} in hand, most often for want of memory: give workers "
        "more memory, or store smaller chunks"
    )
