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
from gmm_dask.chunked.rows import Rows, Values, Weights, open_rows
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
    models: Sequence[Labelled], source: object, *, client: Client | None = None, **opening: Any
) -> Agreements:
    """The same of every two of many, all in the same pass."""
    if len(models) < 2:
        raise ConfigurationError("agreement is of two mixtures at least: name another")
    opened = source if isinstance(source, Rows) else open_rows(source, **opening)
    labelling = [mixture_of(model) for model in models]
    rows = by_name(opened, labelling[0][1])
    for mixture, names in labelling:
        check_features(rows.source.address, rows.feature_names, mixture.features, names)
    with engine_over(rows, client, "none") as (engine, _):
        mixtures = tuple(copy(mixture) for mixture, _ in labelling)  # as they are made on workers
        tables = engine.map_reduce(labels_block, mixtures, name="agreement", combine=added)
    pairs = combinations(range(len(models)), 2)
    return Agreements({pair: of_labels(t) for pair, t in zip(pairs, tables, strict=True)})


def labels_block(
    table: Values, weights: Weights, first_row: int, mixtures: tuple[Scored, ...]
) -> Tables:
    """One block: the table of every two, one after the other."""
    del first_row
    labels = [np.concatenate(list(_labelled(table, mixture))) for mixture in mixtures]
    pairs = combinations(range(len(mixtures)), 2)
    return tuple(
        counted(labels[i], labels[j], mixtures[i].components, mixtures[j].components, weights)
        for i, j in pairs
    )


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
    """Tables over two sets of rows."""
    return tuple(a + b for a, b in zip(one, other, strict=True))
