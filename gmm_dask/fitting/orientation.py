"""Whether a table stands upright, rows down and features across: one that lies on its side has as
many features as there are rows, and its covariances take memory until there is none left."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from distributed.system import MEMORY_LIMIT

from gmm_dask.chunked.rows import DataError, Rows
from gmm_dask.mixture.covariance import family_named
from gmm_dask.settings.mixture import Configuration

logger = logging.getLogger("gmm_dask")

MATRICES = 23
"""D × D matrices that a fit holds for each covariance at its peak (`resource.getrusage` before and
after a fit of 12 rows × 1,500 features: 23 to 25)."""
LARGEST_SHARE = 0.5
"""Of all memory: workers on this machine may hold as much again."""


def check_upright(rows: Rows, candidates: Sequence[Configuration]) -> None:
    """Refuse more features than rows where covariances take most of the memory; else warn."""
    count, features = rows.shape
    covariances = sum(map(_square, candidates))
    if features <= count or not covariances:
        return
    sizes = f"{rows.source.address} has {count} rows and {features} features"
    needed = MATRICES * 8 * covariances * features**2
    if needed > LARGEST_SHARE * MEMORY_LIMIT:
        raise DataError(
            f"{sizes}, whose covariances take {needed / 2**30:,.0f} GiB of the "
            f"{MEMORY_LIMIT / 2**30:,.0f} that there are: if its features lie down and its rows "
            f"across, pass its transpose, {features} × {count}; else choose features or diagonal "
            "covariances"
        )
    logger.warning("%s: if its features lie down and its rows across, pass its transpose", sizes)


def _square(candidate: Configuration) -> int:
    """How many D × D covariances a candidate has."""
    return family_named(candidate.covariance).layout.matrices(candidate.components)
