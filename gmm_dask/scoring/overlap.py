"""Which components share rows: sums over all rows, in a pass for each merge.

The first pass sums all pairs of components. What a merge leaves as it was stays known, so that each
later one sums the pairs of the new cluster alone: K logarithms a row beside its responsibilities.
Trees by all rules grow in the same passes.
"""

from __future__ import annotations

from copy import copy
from itertools import count
from typing import Any, TypeAlias

from distributed import Client

from gmm_dask.chunked.engines.choice import engine_over
from gmm_dask.chunked.engines.protocol import Cache, Engine
from gmm_dask.chunked.rows import Rows, Values, Weights, open_rows
from gmm_dask.mixture.density import strips
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.scoring.densities import Scored
from gmm_dask.scoring.features import by_name, check_features
from gmm_dask.scoring.kept_overlap import keep_overlap
from gmm_dask.scoring.merging.merged import MergedMixture
from gmm_dask.scoring.merging.overlap import Overlap
from gmm_dask.scoring.merging.sums import Asked, OverlapSums, overlap_sums
from gmm_dask.scoring.merging.tree import RULES, Growth
from gmm_dask.scoring.score import HasMixture, mixture_of
from gmm_dask.store.location import Location

STRIP_VALUES = 2**15
"""Shares of so many rows at once stay in a processor's cache while pairs are made of them."""

Question: TypeAlias = tuple[Mixture, tuple[Asked, ...]]
Sums: TypeAlias = tuple[OverlapSums, ...]


def overlap(
    model: Scored | HasMixture | Location,
    source: object,
    *,
    client: Client | None = None,
    cache: Cache = "auto",
    run: Location | None = None,
    **opening: Any,
) -> Overlap:
    """How far the components of a mixture share rows, and which to merge: K − 1 passes over them.

    `model` is a mixture, a fit, or where a model is stored; `source` and `opening` are those of
    `open_rows`. Passes run on `client`, else on the active Dask client, else in this process, with
    the same bits. `found.merged(k)` is the mixture as k clusters. With `run`, that of the mixture,
    its folder keeps what was found, for its report and `load_overlap`.
    """
    given, names = mixture_of(model)
    mixture = given.mixture if isinstance(given, MergedMixture) else given
    rows = by_name(source if isinstance(source, Rows) else open_rows(source, **opening), names)
    check_features(rows.source.address, rows.feature_names, mixture.features, names)
    with engine_over(rows, client, cache) as (engine, _):
        found = overlap_over(engine, copy(mixture))  # factors by one thread of BLAS, as on workers
    if run is not None:
        keep_overlap(run, found)
    return found


def overlap_over(engine: Engine, mixture: Mixture) -> Overlap:
    """The same of all rows of an engine."""
    growing = tuple(Growth.of(rule, mixture.components) for rule in RULES)
    components = growing[0].asked
    known: dict[Asked, OverlapSums] = {}
    for step in count():
        asked = {growth.asked for growth in growing if not growth.whole} | {components}
        wanted = tuple(sorted(asked - set(known), key=lambda one: one.cluster_of))
        if not wanted:
            break
        sums = engine.map_reduce(
            overlap_block, (mixture, wanted), name="overlap", step=step, combine=added
        )
        known.update(zip(wanted, sums, strict=True))
        growing = tuple(g if g.whole else g.told(known[g.asked]) for g in growing)
    return Overlap(mixture, known[components], {g.tree.rule: g.tree for g in growing})


def overlap_block(table: Values, weights: Weights, first_row: int, question: Question) -> Sums:
    """One block, for every partition that is asked for."""
    del first_row
    mixture, asked = question
    total = tuple(OverlapSums.zero(one.clusters) for one in asked)
    for strip in strips(len(table), STRIP_VALUES // mixture.components):
        responsibilities = mixture.responsibilities(table[strip])
        some = None if weights is None else weights[strip]
        total = added(total, tuple(overlap_sums(responsibilities, one, some) for one in asked))
    return total


def added(one: Sums, other: Sums) -> Sums:
    """Sums over two sets of rows."""
    return tuple(a + b for a, b in zip(one, other, strict=True))
