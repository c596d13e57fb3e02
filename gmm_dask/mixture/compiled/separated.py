"""Rows of components that are apart: a first look, then only the pairs that it leaves."""
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import types

from gmm_dask.mixture.compiled.caching import (
    FORMS,
    INDICES,
    MATRIX,
    ROWS,
    SOURCES,
    STACK,
    VECTOR,
    cached,
)
from gmm_dask.mixture.compiled.pairs import (
    PIECE,
    Densities,
    Looks,
    Pairs,
    Scratch,
    Span,
    add,
    complete,
    left_rows,
    likely,
    look,
    own_rows,
)
from gmm_dask.mixture.compiled.products import PAD, workspace
from gmm_dask.mixture.compiled.softmax import exponentials, normalise
from gmm_dask.mixture.compiled.vectors import EXACT, full_vectors

ARGUMENTS = (
    *ROWS,
    types.int64,
    *FORMS,
    STACK,
    MATRIX,
    VECTOR,
    INDICES,
    types.float64,
    types.float64,
    types.float64,
    types.int64,
    types.int64,
    types.int64,
    types.float64[:, :, ::1],
    types.float64[:, ::1],
    types.float64[::1],
    types.float64[:, ::1],
)


def kept(sources):
    @cached(types.int64(*ARGUMENTS), nogil=True, fastmath=EXACT, error_model="numpy")
    def sweep_separated(
        rows, rows_float32, weights, centre, scale, seen, left, right, a, constants, factors,
        offsets, normalisers, ends, ruled_out, most, floor, tile, slab, height, second, linear,
        counts, totals
    ):  # fmt: skip
        """Add the sums of rows as `sweep` does, `height` of them at once, as long as a look leaves
        no more than `most` log-densities to a row. How many rows are done; the rest is for `sweep`.

        `a` (K, F) and `constants` (K,) are the coefficients of upper bounds in the features of the
        first `seen` coordinates, filled up to even numbers; `factors` (K, D, D), `offsets` (K, D)
        and `normalisers` (K,) are those of `Densities`. `second` (K, D, D), `linear` (K, D),
        `counts` (K,) and `totals` (M, 3) are added to.
        """
        sources  # noqa: B018  closed over, as caching.py says
        full_vectors()
        size, unit = max(len(rows), len(rows_float32)), 1 / scale
        mixtures, components, width = len(ends), len(normalisers), factors.shape[1]
        looks = Looks(seen, left, right, a, constants)
        densities = Densities(factors, offsets, normalisers)
        slab = min(slab, len(left))
        tiled = workspace(slab + seen + len(a), tile + PAD)
        phi, z, bounds = tiled[:slab], tiled[slab : slab + seen], tiled[slab + seen :]
        lines = workspace(components + mixtures + 2, height + PAD)
        total, mixed = lines[-2], lines[-1]
        pairs = Pairs(
            lines[:components],
            np.empty((mixtures, height), np.int64),
            lines[components:-2],
            np.empty((mixtures, height), np.int64),
            np.empty(components, np.int64),
            np.empty(int(most * height) + 1, np.int64),
            np.empty(components, np.int64),
        )
        some = workspace(2 * width + 5, PIECE + PAD)
        copy = np.empty((PIECE, len(centre)))
        scratch = Scratch(copy, some[:width], some[width:-5], some[-5:-1], some[-1])
        for first in range(0, size, height):
            count = min(height, size - first)
            part = slice(first, first + count)
            span = Span(rows[part], rows_float32[part], centre, unit)
            for begin in range(0, count, tile):
                look(span, begin, min(tile, count - begin), looks, z, phi, bounds, pairs.logs)
            begin = pairs_left = 0
            for m in range(mixtures):
                pairs_left += likely(
                    span, count, densities, m, begin, ends[m], ruled_out, scratch, pairs
                )
                begin = ends[m]
            if pairs_left > most * count:
                return first
            begin = 0
            for m in range(mixtures):
                complete(span, count, densities, m, begin, ends[m], scratch, pairs)
                posteriors, top = pairs.logs[begin : ends[m]], pairs.least[m]
                exponentials(posteriors, floor, count, top, total, mixed)
                normalise(
                    posteriors, weights, first, count, top, total, mixed, counts[begin : ends[m]],
                    totals[m],
                )  # fmt: skip
                for k in range(begin, ends[m]):
                    for chosen in (own_rows(pairs, m, begin, k), left_rows(pairs, k)):
                        add(span, chosen, pairs.logs[k], scratch, second[k], linear[k])
                begin = ends[m]
        return size

    return sweep_separated


sweep_separated = kept(SOURCES)
