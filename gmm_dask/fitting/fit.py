"""Fitting one mixture: `fit` from any source of rows, and `evaluate` of a mixture on others."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
from distributed import Client

from gmm_dask.chunked.engines.choice import engine_over
from gmm_dask.chunked.engines.protocol import Cache
from gmm_dask.chunked.expectation import statistics_over
from gmm_dask.chunked.rows import Rows, open_rows
from gmm_dask.chunked.sources import open_column
from gmm_dask.chunked.sources.zarr_source import as_stored
from gmm_dask.fitting.journal import EVERY_ITERATION, Rhythm
from gmm_dask.fitting.overlapping import with_overlap
from gmm_dask.fitting.result import Fit
from gmm_dask.fitting.run_loop import Callback, Conduct, carry_out
from gmm_dask.fitting.starts import GivenParameters, Starts
from gmm_dask.mixture.kernels.choice import choose_kernels
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.settings.mixture import Configuration
from gmm_dask.store.location import Location


def fit(
    source: object,
    configuration: Configuration | int,
    *,
    initial: Mixture | Sequence[Mixture] | GivenParameters | None = None,
    labels: object = None,
    client: Client | None = None,
    cache: Cache = "auto",
    run: Location | None = None,
    restart: bool = False,
    checkpoint: Rhythm = EVERY_ITERATION,
    callbacks: Sequence[Callback] = (),
    performance_report: bool = False,
    overlap: bool = False,
    **opening: Any,
) -> Fit:
    """Fit a Gaussian mixture to rows from anywhere that `open_rows` can open.

    `configuration` may be just the number of components. The start is drawn as it says, or is
    `initial` (one mixture, or several that compete, or some of the parameters), or follows from
    `labels` of all rows. Passes run on `client`, else on the active Dask client, else in this
    process, with the same bits; within a Dask task in the thread that it has, unless it gives a
    `client`, and then leaves its thread to others. With `run`, a folder keeps history, checkpoints
    and the model: called again, it resumes, or returns at once what is finished. With
    `performance_report`, Dask's own report of the cluster meanwhile is kept there too. With
    `overlap`, further passes see which components share rows, for `merged` and for the report.
    """
    if not isinstance(configuration, Configuration):
        configuration = Configuration(whole(configuration))
    rows = opened(source, opening)
    coded = None
    if labels is not None:
        coded = as_stored(open_column(labels, source, rows.cells, rows.source.lazy))
    plan = Starts.of(configuration, initial, coded)
    plan.check(rows)
    conduct = Conduct(client, cache, run, restart, checkpoint, callbacks, performance_report)
    found = carry_out(plan, rows, conduct)[1]
    return with_overlap(found, rows, client, cache, run) if overlap else found


def evaluate(
    source: object,
    mixture: Mixture,
    *,
    client: Client | None = None,
    **opening: Any,
) -> SufficientStatistics:
    """The statistics of all rows under a mixture, log-likelihood and all: one pass, no fit."""
    with engine_over(opened(source, opening), client, "none") as (engine, _):
        mixture = copy(mixture)  # its factors made by one thread of BLAS, as on workers
        (statistics,) = statistics_over(engine)((mixture,), choose_kernels([mixture]))
    return statistics


def whole(number: Any) -> Any:
    """NumPy's whole numbers as Python's; all else as it is, to be refused where it is asked for."""
    return int(number) if isinstance(number, np.integer) else number


def opened(source: object, opening: dict[str, Any]) -> Rows:
    """Rows as they are, or any other source opened."""
    if isinstance(source, Rows):
        if opening:
            raise TypeError(f"rows that are open already take no {', '.join(opening)}")
        return source
    return open_rows(source, **opening)
