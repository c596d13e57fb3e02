"""A fit with what its components share: kept in its run folder, or found by passes after it."""

from __future__ import annotations

from dataclasses import replace

from distributed import Client

from gmm_dask.chunked.engines.protocol import Cache
from gmm_dask.chunked.rows import Rows
from gmm_dask.fitting.result import Fit
from gmm_dask.scoring.kept_overlap import overlap_in
from gmm_dask.scoring.overlap import overlap
from gmm_dask.store.location import Location


def with_overlap(
    found: Fit, rows: Rows, client: Client | None, cache: Cache, run: Location | None
) -> Fit:
    """The same, with the overlap of its components."""
    kept = None if run is None else overlap_in(run, found.mixture)
    if kept is None:
        kept = overlap(found, rows, client=client, cache=cache, run=run)
    return replace(found, overlap=kept)
