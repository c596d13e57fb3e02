"""Rows through the whole of the quadratic kernel, a tile at a time."""
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import types

from gmm_dask.mixture.compiled.caching import FORMS, INDICES, ROWS, SOURCES, cached
from gmm_dask.mixture.compiled.products import (
    PAD,
    add_products,
    log_densities,
    standardise,
    workspace,
)
from gmm_dask.mixture.compiled.softmax import exponentials, normalise
from gmm_dask.mixture.compiled.sparse import accumulate_alone, few_count
from gmm_dask.mixture.compiled.vectors import EXACT, full_vectors

ARGUMENTS = (
    *ROWS,
    types.boolean,
    *FORMS,
    INDICES,
    types.float64,
    types.float64,
    types.int64,
    types.int64,
    types.float64[:, ::1],
    types.float64[::1],
    types.float64[:, ::1],
)


def kept(sources):
    @cached(types.void(*ARGUMENTS), nogil=True, fastmath=EXACT, error_model="numpy")
    def sweep(
        rows, rows_float32, weights, centre, scale, squares, left, right, a, constants, ends, floor,
        negligible, tile, slab, sums, counts, totals
    ):  # fmt: skip
        """Add the sums of rows (N, D), which are in one of the first two arguments, the other being
        empty: one compilation serves both types. `weights` are (N,), or none at all.

        Feature f is z_left[f] z_right[f]; `slab` of them, a multiple of four, are held at once.
        `a` (K, F) and `constants` (K,) are the coefficients of all mixtures, filled up to even
        numbers; mixture m has the components from ends[m − 1] to ends[m]; `sums` (K, F), `counts`
        (K,) and `totals` (M, 3) are added to.
        """
        sources  # noqa: B018  closed over, as caching.py says
        full_vectors()
        components, columns = a.shape
        features, mixtures, unit = len(centre), len(ends), 1 / scale
        slab = min(slab, columns)
        lines = workspace(slab + features + components + 3, tile + PAD)
        phi, linear, logs = lines[:slab], lines[slab : slab + features], lines[slab + features : -3]
        top, total, mixed = lines[-3], lines[-2], lines[-1]
        own, scratch = np.empty(tile, np.int64), np.empty((2, features))
        for first in range(0, max(len(rows), len(rows_float32)), tile):
            count = min(tile, max(len(rows), len(rows_float32)) - first)
            if len(rows):
                standardise(rows, first, count, centre, unit, linear)
            else:
                standardise(rows_float32, first, count, centre, unit, linear)
            log_densities(linear, left, right, a, constants, phi, logs, count)
            begin = 0
            for m in range(mixtures):
                end = ends[m]
                some = logs[begin:end]
                exponentials(some, floor, count, top, total, mixed)
                normalise(
                    some, weights, first, count, top, total, mixed, counts[begin:end], totals[m]
                )
                begin = end
            if not few_count(logs[:begin], counts, negligible, mixtures, count, columns):
                add_products(linear, left, right, logs, phi, sums, count)
            elif len(rows):
                accumulate_alone(
                    rows, first, count, centre, unit, squares, logs[:begin], counts, negligible,
                    sums, own, scratch,
                )  # fmt: skip
            else:
                accumulate_alone(
                    rows_float32, first, count, centre, unit, squares, logs[:begin], counts,
                    negligible, sums, own, scratch,
                )  # fmt: skip

    return sweep


sweep = kept(SOURCES)
