"""What one mixture says of rows: labels, densities, posteriors.

Every row sees the same operations in its own lane, whatever its place. Where components are apart,
the first whitened coordinates bound all log-densities, and only pairs that count are worked out.
"""
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit, types

from gmm_dask.mixture.compiled.caching import (
    MATRIX,
    SOURCES,
    STACK,
    VECTOR,
    cached,
    read_only,
)
from gmm_dask.mixture.compiled.pairs import PIECE, counted, grouped, listed, most_likely
from gmm_dask.mixture.compiled.products import PAD, workspace
from gmm_dask.mixture.compiled.vectors import EXACT, LANES, exp, full_vectors, log
from gmm_dask.mixture.compiled.whitened import (
    Densities,
    Scratch,
    correlated,
    lines_of,
    replace,
    uncorrelated,
)

ARGUMENTS = (
    MATRIX,
    read_only(types.float32, 2),
    MATRIX,
    STACK,
    MATRIX,
    VECTOR,
    types.int64,
    types.float64,
    types.float64,
    types.int64,
    types.float64,
    types.float64,
    types.int64,
    types.int64[::1],
    types.float64[::1],
    types.float64[:, ::1],
)


@njit(forceinline=True, error_model="numpy")
def apart(
    rows, rows_float32, count, densities, ruled_out, most, scratch, logs, which, least, own, ends
):
    """Of upper bounds, those replaced that count; False, where more than `most` of a row do."""
    most_likely(logs, count, which, least)
    grouped(which, count, own, ends)
    begin = 0
    for k in range(len(logs)):
        chosen = own[begin : ends[k]]
        begin = ends[k]
        replace(rows, rows_float32, chosen, densities, k, scratch, logs[k])
        for t in chosen:
            least[t] = logs[k, t] + ruled_out
    left = 0
    for k in range(len(logs)):
        left += counted(logs[k], least, count)
    if left > most * count:
        return False
    for k in range(len(logs)):
        size = listed(logs[k], least, which, k, count, own)
        replace(rows, rows_float32, own[:size], densities, k, scratch, logs[k])
    return True


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def evidence(logs, top, floor, count, total):
    """Σ exp(l − top) of all that is not below the floor."""
    full_vectors()
    for t in range(count):
        total[t] = 0.0
    for k in range(len(logs)):
        line = logs[k]
        for t in range(count):
            below = line[t] - top[t]
            share = exp(below if below > floor else floor)
            total[t] += 0.0 if below < floor else share


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def shares(logs, top, total, floor, count):
    """exp(l − top) / total, in place; nothing below the floor."""
    full_vectors()
    for k in range(len(logs)):
        line = logs[k]
        for t in range(count):
            below = line[t] - top[t]
            share = exp(below if below > floor else floor) / total[t]
            line[t] = 0.0 if below < floor else share


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def turned_back(lines, first, count, rows):
    """Lines of a component each, as rows."""
    full_vectors()
    for begin in range(0, count, LANES):
        for k in range(len(lines)):
            line = lines[k]
            for t in range(begin, min(begin + LANES, count)):
                rows[first + t, k] = line[t]


def kept(sources):
    @cached(types.void(*ARGUMENTS), nogil=True, fastmath=EXACT, error_model="numpy")
    def score(
        rows, rows_float32, means, factors, reciprocals, normalisers, seen, ruled_out, most, height,
        counts_from, lowest, tile, labels, density, posteriors
    ):  # fmt: skip
        """Fill `labels` (N,), and `density` (N,) and `posteriors` (N, K) unless these are empty.

        Components less than `counts_from` beside the likeliest add nothing to a density, and less
        than `lowest` are a posterior of 0. A look is at `seen` coordinates of `height` rows, or
        none: components more than `ruled_out` below the likeliest need not be known, and it is
        given up where it leaves more than `most` to a row. Rows beyond what can be squared have the
        label −1.
        """
        sources  # noqa: B018  closed over, as caching.py says
        full_vectors()
        size, (components, features) = max(len(rows), len(rows_float32)), means.shape
        width = factors.shape[1]
        densities = Densities(means, factors, reciprocals, normalisers)
        lines = workspace(features + components + 2, height + PAD)
        x, logs, top, total = lines[:features], lines[features:-2], lines[-2], lines[-1]
        some = workspace(2 * width + 5, max(height, PIECE, tile) + PAD)
        scratch = Scratch(
            np.empty((PIECE if seen else 0, max(rows.shape[1], rows_float32.shape[1]))),
            some[:width],
            some[width:-5],
            some[-5:-1],
            some[-1],
        )
        which, own = np.empty(height, np.int64), np.empty(height, np.int64)
        ends = np.empty(components, np.int64)
        first = 0
        while first < size:
            count = min(height if seen else tile, size - first)
            part = slice(first, first + count)
            lines_of(rows, rows_float32, first, count, x)
            if not width:
                uncorrelated(x, densities, count, logs)
            coordinates = seen if seen else width
            while coordinates:
                correlated(x, densities, coordinates, count, scratch, logs)
                if coordinates == width or apart(
                    rows[part], rows_float32[part], count, densities, ruled_out, most, scratch,
                    logs, which, total, own, ends,
                ):  # fmt: skip
                    break
                coordinates, seen, count = width, 0, min(tile, count)
            most_likely(logs, count, which, top)
            for t in range(count):
                fine = top[t] > -np.inf
                labels[first + t] = which[t] if fine else -1
            if len(density) or len(posteriors):
                evidence(logs, top, counts_from, count, total)
            if len(density):
                to = density[first : first + count]
                for t in range(count):
                    to[t] = top[t] + log(total[t])
            if len(posteriors):
                shares(logs, top, total, lowest, count)
                turned_back(logs, first, count, posteriors)
            first += count

    return score


score = kept(SOURCES)
