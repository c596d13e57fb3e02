"""How far mixtures agree on the labels of all rows, which are counted in one pass and not kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
from distributed import Client

from gmm_dask.chunked.engines.choice import engine_over
from gmm_dask.chunked.rows import (
    DataError,
    Policy,
    Rows,
    Values,
    Weights,
    kept_rows,
    open_rows,
)
from gmm_dask.chunked.sources import Source, open_column
from gmm_dask.chunked.sources.zarr_source import as_stored
from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.density import strips
from gmm_dask.mixture.tables import Table
from gmm_dask.scoring.contingency import INDICES, Agreement
from gmm_dask.scoring.densities import MOST_ROWS, Scored
from gmm_dask.scoring.features import by_name, check_features
from gmm_dask.scoring.score import HasMixture, mixture_of
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.store.location import Location

Labelled: TypeAlias = Scored | HasMixture | Location
Tables: TypeAlias = tuple[Array, ...]
Question: TypeAlias = tuple[tuple[Scored, ...], Source | None, Policy]
MOST = 10_000
"""Labels lie below it: a table has a column for each."""


@dataclass(frozen=True, eq=False)
class Agreements:
    """Every two of some mixtures, by their places among them."""

    pairs: dict[tuple[int, int], Agreement]

    def __getitem__(self, pair: tuple[int, int]) -> Agreement:
        return self.pairs[pair]

    def __iter__(self) -> Iterator[tuple[tuple[int, int], Agreement]]:
        return iter(self.pairs.items())

    def table(self, names: Sequence[str] | None = None) -> Table:
        """A line for each two."""
        lines = [
            (*(name_of(place, names) for place in pair), *(f"{getattr(a, i):.4f}" for i in INDICES))
            for pair, a in self
        ]
        headings = ("one", "other", *(index.replace("_", " ") for index in INDICES))
        return Table(headings, tuple(lines), frozenset({0, 1}))

    def __str__(self) -> str:
        return str(self.table())


def name_of(place: int, names: Sequence[str] | None) -> str:
    """Of one of the mixtures."""
    return str(place) if names is None else names[place]


def agreement(
    one: Labelled, other: Labelled, source: object, *, client: Client | None = None, **opening: Any
) -> Agreement:
    """How far two mixtures agree on the labels of all rows: adjusted Rand, Fowlkes–Mallows, and
    others, from a table of both labels counted in one pass; the labels are not kept.

    Each is a mixture, one of clusters (`merged`), a fit, or where a model is stored; `source` and
    `opening` are those of `open_rows`.
    """
    return agreements((one, other), source, client=client, **opening)[0, 1]


def agreements(
    models: Sequence[Labelled],
    source: object,
    *,
    labels: object = None,
    client: Client | None = None,
    **opening: Any,
) -> Agreements:
    """The same of every two of many, all in the same pass.

    `labels` of all rows that are known, whole numbers from 0, or −1 for none, are one more to
    compare, the last: an array, a path, or a name in the group of the source.
    """
    opened = source if isinstance(source, Rows) else open_rows(source, **opening)
    known = None if labels is None else known_labels(labels, source, opened)
    return agreements_over(models, opened, known, client)


def agreements_over(
    models: Sequence[Labelled], opened: Rows, known: Source | None, client: Client | None = None
) -> Agreements:
    """The same of rows and labels that are open."""
    if len(models) + (known is not None) < 2:
        raise ConfigurationError("agreement is of two mixtures at least, or of one and labels")
    labelling = [mixture_of(model) for model in models]
    rows = by_name(opened, labelling[0][1])
    for mixture, names in labelling:
        check_features(rows.source.address, rows.feature_names, mixture.features, names)
    with engine_over(rows, client, "none") as (engine, _):
        mixtures = tuple(copy(mixture) for mixture, _ in labelling)  # as they are made on workers
        question = mixtures, known, rows.nonfinite
        tables = engine.map_reduce(
            labels_block, question, name="agreement", combine=added, every_row=True
        )
    pairs = combinations(range(len(models) + (known is not None)), 2)
    return Agreements({pair: of_labels(t) for pair, t in zip(pairs, tables, strict=True)})


def known_labels(labels: object, source: object, rows: Rows) -> Source:
    """A label for each stored row, to be read wherever rows are."""
    column = as_stored(open_column(labels, source, rows.cells, rows.source.lazy))
    if column.shape[0] != rows.source.shape[0]:
        raise DataError(
            f"{column.address} has {column.shape[0]} labels and {rows.source.address} "
            f"{rows.source.shape[0]} rows; pass one label per stored row"
        )
    return column


def labels_block(table: Values, weights: Weights, first_row: int, question: Question) -> Tables:
    """One block: the table of every two, one after the other."""
    mixtures, known, nonfinite = question
    read = None if known is None else read_labels(known, first_row, first_row + len(table))
    if nonfinite != "error":
        read = None if read is None else kept_rows(table, read, nonfinite)[1]
        table, weights = kept_rows(table, weights, nonfinite)
    labels = [np.concatenate(list(_labelled(table, mixture))) for mixture in mixtures]
    sizes = [mixture.components for mixture in mixtures]
    if read is not None:
        labels.append(read.astype(np.intp))
        sizes.append(int(labels[-1].max(initial=-1)) + 1)
    pairs = combinations(range(len(labels)), 2)
    return tuple(counted(labels[i], labels[j], sizes[i], sizes[j], weights) for i, j in pairs)


def read_labels(known: Source, first: int, last: int) -> Any:
    """Of these rows, (n,); whole numbers of which the largest is a number of classes."""
    known.verify(first, last)
    labels = np.asarray(known.read(first, last)).reshape(-1)
    if labels.dtype.kind not in "iub" or not all(-1 <= one < MOST for one in _ends(labels)):
        raise DataError(
            f"{known.address} is no column of labels: whole numbers from −1 to {MOST - 1} are"
        )
    return labels


def _ends(labels: Indices) -> tuple[int, ...]:
    return (int(labels.min()), int(labels.max())) if len(labels) else ()


def _labelled(table: Values, mixture: Scored) -> Iterator[Indices]:
    """A strip at a time: what a label is chosen of may be K numbers a row."""
    yield np.empty(0, np.intp)
    for strip in strips(len(table), MOST_ROWS):
        yield mixture.labels(table[strip])


def counted(one: Indices, other: Indices, rows: int, columns: int, weights: Weights) -> Array:
    """The weight of each two labels, (K + 1, K' + 1): that of none, −1, is the last."""
    rows, columns = rows + 1, columns + 1
    places = one % rows * columns + other % columns
    cells = np.bincount(places, weights, minlength=rows * columns)
    return cells.astype(np.float64).reshape(rows, columns)


def of_labels(table: Array) -> Agreement:
    """The table without rows or columns of none where there are none."""
    rows, columns = (len(sums) - (sums[-1] == 0) for sums in (table.sum(axis=1), table.sum(axis=0)))
    return Agreement(table[:rows, :columns])


def added(one: Tables, other: Tables) -> Tables:
    """Tables over two sets of rows; of labels that are known, a block may lack the last ones."""
    return tuple(_added(a, b) for a, b in zip(one, other, strict=True))


def _added(one: Array, other: Array) -> Array:
    if one.shape == other.shape:
        return one + other
    columns = max(one.shape[1], other.shape[1])
    return _widened(one, columns) + _widened(other, columns)


def _widened(table: Array, columns: int) -> Array:
    """With so many columns, the last of which, of none, stays the last."""
    absent = np.zeros((len(table), columns - table.shape[1]))
    return np.concatenate([table[:, :-1], absent, table[:, -1:]], axis=1)
