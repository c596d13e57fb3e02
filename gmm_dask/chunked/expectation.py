"""The E-step over all rows: where blocks of rows meet mixtures. One call is one pass."""

from __future__ import annotations

from itertools import count
from typing import TypeAlias

import numpy as np

from gmm_dask.chunked.engines.protocol import Engine
from gmm_dask.chunked.rows import Values, Weights, kept_rows
from gmm_dask.chunked.sources import Source
from gmm_dask.mixture.covariance.layouts import Layout
from gmm_dask.mixture.kernels import Kernel
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.sweep import Statistics, StatisticsOf, sweep, sweep_labels

Question: TypeAlias = tuple[tuple[Mixture, ...], tuple[Kernel, ...]]
Labelling: TypeAlias = tuple[Source, int, Layout, bool, bool, bool]


def statistics_over(engine: Engine, first_step: int = 0) -> StatisticsOf:
    """The seam that the EM loop knows the data by, for the rows of this engine."""
    steps = count(first_step)

    def statistics_of(mixtures: tuple[Mixture, ...], kernels: tuple[Kernel, ...]) -> Statistics:
        return engine.map_reduce(
            sweep_block, (mixtures, kernels), name="sweep", step=next(steps), combine=added
        )

    return statistics_of


def sweep_block(table: Values, weights: Weights, first_row: int, question: Question) -> Statistics:  # noqa: ARG001
    """One block under all mixtures."""
    mixtures, kernels = question
    return sweep(table, mixtures, weights, kernels)


def added(one: Statistics, other: Statistics) -> Statistics:
    """Statistics of the same mixtures over two sets of rows."""
    return tuple(a + b for a, b in zip(one, other, strict=True))


def label_statistics(
    engine: Engine, labels: Source, components: int, layout: Layout, *, noise: bool = False
) -> SufficientStatistics:
    """The statistics of all rows when their components are known: one pass."""
    strict = engine.rows.missing_chunks == "error"
    skipping = engine.rows.skips
    return engine.map_reduce(
        sweep_labelled_block,
        (labels, components, layout, noise, skipping, strict),
        name="labels",
        every_row=True,
    )


def sweep_labelled_block(
    table: Values, weights: Weights, first_row: int, labelling: Labelling
) -> SufficientStatistics:
    """One block with its labels, which are read here by global row index."""
    source, components, layout, noise, skipping, strict = labelling
    if strict:
        source.verify(first_row, first_row + len(table))
    labels = np.asarray(source.read(first_row, first_row + len(table))).reshape(-1)
    if skipping:
        # labels ride along as weights do; both are dropped with their row
        _, labels = kept_rows(table, labels)  # type: ignore[assignment]
        table, weights = kept_rows(table, weights)
    return sweep_labels(table, labels, components, layout, weights, noise=noise)
