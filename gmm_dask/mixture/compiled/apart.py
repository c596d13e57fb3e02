"""Where components are apart: a first look at rows, then log-densities and sums of few pairs.

What a look leaves of a row's components, most often one, is gathered: some hundred rows of one
component at once, so that its products are dense ones again, with its own rows in the lanes.
"""
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls

from typing import Any, NamedTuple

import numpy as np
from numba import njit, types

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
from gmm_dask.mixture.compiled.products import (
    PAD,
    accumulate_4_by_4,
    log_densities,
    multiply_4_by_4,
    standardise,
    workspace,
)
from gmm_dask.mixture.compiled.softmax import exponentials, normalise
from gmm_dask.mixture.compiled.vectors import EXACT, LANES, REDUCING, full_vectors

PIECE = 256
"""Rows of a component at once, a multiple of LANES: more falls out of the innermost caches."""


class Span(NamedTuple):
    """Rows, in one of the first two, and the frame that they are standardised in."""

    double: Any
    single: Any
    centre: Any
    unit: Any


class Looks(NamedTuple):
    """Upper bounds as linear forms in the quadratic features of the first coordinates."""

    seen: Any
    left: Any
    right: Any
    coefficients: Any
    constants: Any


class Densities(NamedTuple):
    """Log-densities: normaliser − ½ |Uᵀz − Uᵀμ|², with Uᵀ and Uᵀμ filled up to fours."""

    factors: Any
    offsets: Any
    normalisers: Any


class Scratch(NamedTuple):
    """For the rows that are gathered: their copy, and lines of them."""

    copy: Any
    z: Any
    shares: Any
    whitened: Any
    found: Any


@njit(fastmath=EXACT, error_model="numpy")
def look(span, begin, count, looks, linear, phi, bounds, logs):
    """Upper bounds of log-densities of a tile of the span, into its part of the lines."""
    full_vectors()
    centre, unit = span.centre[: looks.seen], span.unit[: looks.seen]
    if len(span.double):
        standardise(span.double, begin, count, centre, unit, linear)
    else:
        standardise(span.single, begin, count, centre, unit, linear)
    log_densities(
        linear, looks.left, looks.right, looks.coefficients, looks.constants, phi, bounds, count
    )
    for k in range(len(logs)):
        to, line = logs[k], bounds[k]
        for t in range(count):
            to[begin + t] = line[t]


@njit(fastmath=EXACT, error_model="numpy")
def most_likely(logs, count, which, top):
    """The largest log-density of each row, and whose it is."""
    full_vectors()
    first = logs[0]
    for t in range(count):
        top[t], which[t] = first[t], 0
    for k in range(1, len(logs)):
        line = logs[k]
        for t in range(count):
            larger = line[t] > top[t]
            which[t] = k if larger else which[t]
            top[t] = line[t] if larger else top[t]


@njit(error_model="numpy")
def grouped(which, count, order, ends):
    """The rows of each component together, in `order`; component k's end at ends[k]."""
    for k in range(len(ends)):
        ends[k] = 0
    for t in range(count):
        ends[which[t]] += 1
    place = 0
    for k in range(len(ends)):
        size, ends[k] = ends[k], place
        place += size
    for t in range(count):
        order[ends[which[t]]] = t
        ends[which[t]] += 1


@njit(error_model="numpy")
def listed(line, least, which, k, count, found):
    """How many rows that are not k's have a number no smaller; they come first in `found`."""
    size = 0
    for t in range(count):
        found[size] = t
        size += (line[t] >= least[t]) & (which[t] != k)
    return size


@njit(fastmath=REDUCING, error_model="numpy")
def counted(line, least, count):
    """How many of the numbers are no smaller."""
    full_vectors()
    size = 0
    for t in range(count):
        size += line[t] >= least[t]
    return size


@njit(fastmath=EXACT, error_model="numpy")
def gathered(span, own, scratch):
    """Some rows of the span as lines; how many, filled up to whole lanes by the first of them."""
    if len(span.double):
        copied(span.double, own, scratch.copy)
    else:
        copied(span.single, own, scratch.copy)
    whole = (len(own) + LANES - 1) // LANES * LANES
    for s in range(len(own), whole):
        for i in range(len(span.centre)):
            scratch.copy[s, i] = scratch.copy[0, i]
    standardise(scratch.copy, 0, whole, span.centre, span.unit, scratch.z)
    return whole


@njit(fastmath=EXACT, error_model="numpy")
def copied(rows, own, copy):
    full_vectors()
    for s in range(len(own)):
        row, to = rows[own[s]], copy[s]
        for i in range(len(row)):
            to[i] = row[i]


@njit(fastmath=EXACT, error_model="numpy")
def distances(z, factor, offset, count, whitened, found):
    """|Uᵀz − Uᵀμ|², four coordinates at a time."""
    full_vectors()
    y0, y1, y2, y3 = whitened[0], whitened[1], whitened[2], whitened[3]
    for t in range(count):
        found[t] = 0.0
    for j in range(0, len(factor), 4):
        o0, o1, o2, o3 = offset[j], offset[j + 1], offset[j + 2], offset[j + 3]
        for t in range(count):
            y0[t], y1[t], y2[t], y3[t] = -o0, -o1, -o2, -o3
        for i in range(0, j + 4, 4):
            multiply_4_by_4(factor[j : j + 4, i : i + 4], z[i : i + 4], whitened, count)
        for t in range(count):
            found[t] += y0[t] * y0[t] + y1[t] * y1[t] + y2[t] * y2[t] + y3[t] * y3[t]


@njit(fastmath=EXACT, error_model="numpy")
def replace(span, own, densities, k, scratch, logs):
    """Component k's log-densities of some rows, in full."""
    factor, offset, line = densities.factors[k], densities.offsets[k], logs[k]
    for begin in range(0, len(own), PIECE):
        some = own[begin : begin + PIECE]
        count = gathered(span, some, scratch)
        distances(scratch.z, factor, offset, count, scratch.whitened, scratch.found)
        for s in range(len(some)):
            line[some[s]] = densities.normalisers[k] - 0.5 * scratch.found[s]


@njit(fastmath=REDUCING, error_model="numpy")
def add(span, own, posteriors, scratch, second, linear):
    """One component's Σ r z zᵀ on and above the diagonal, four by four, and Σ r z of some rows."""
    full_vectors()
    weights, z, shares = scratch.found, scratch.z, scratch.shares
    for begin in range(0, len(own), PIECE):
        some = own[begin : begin + PIECE]
        count = gathered(span, some, scratch)
        for s in range(count):
            weights[s] = posteriors[some[s]] if s < len(some) else 0.0
        for i in range(len(span.centre)):
            one, share, total = z[i], shares[i], 0.0
            for t in range(count):
                share[t] = weights[t] * one[t]
                total += share[t]
            linear[i] += total
        for i in range(0, len(second), 4):
            for j in range(i, len(second), 4):
                accumulate_4_by_4(
                    shares[i : i + 4], z[j : j + 4], second[i : i + 4, j : j + 4], count
                )


@njit(error_model="numpy")
def likely(span, count, densities, begin, end, ruled_out, scratch, logs, which, least, own, ends):
    """For one mixture, components from `begin` to `end`: each row's likeliest, and its log-density
    in full; whatever lies `ruled_out` below is nothing."""
    most_likely(logs[begin:end], count, which, least)
    grouped(which, count, own, ends[begin:end])
    for k in range(begin, end):
        some = own[ends[k - 1] if k > begin else 0 : ends[k]]
        replace(span, some, densities, k, scratch, logs)
        for t in some:
            least[t] = logs[k, t] + ruled_out


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
    def sweep_apart(
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
        sources  # noqa: B018
        size, unit = max(len(rows), len(rows_float32)), 1 / scale
        mixtures, components, width = len(ends), len(normalisers), factors.shape[1]
        looks = Looks(seen, left, right, a, constants)
        densities = Densities(factors, offsets, normalisers)
        slab = min(slab, len(left))
        tiled = workspace(slab + seen + len(a), tile + PAD)
        phi, seen_lines, bounds = tiled[:slab], tiled[slab : slab + seen], tiled[slab + seen :]
        lines = workspace(components + mixtures + 2, height + PAD)
        logs, least = lines[:components], lines[components:-2]
        some = workspace(2 * width + 5, PIECE + PAD)
        copy = np.empty((PIECE, len(centre)))
        scratch = Scratch(copy, some[:width], some[width:-5], some[-5:-1], some[-1])
        which, own = np.empty((mixtures, height), np.int64), np.empty((mixtures, height), np.int64)
        pairs_left = np.empty(int(most * height) + 1, np.int64)
        own_ends, left_ends = np.empty(components, np.int64), np.empty(components, np.int64)
        for first in range(0, size, height):
            count = min(height, size - first)
            part = slice(first, first + count)
            span = Span(rows[part], rows_float32[part], centre, unit)
            for begin in range(0, count, tile):
                look(span, begin, min(tile, count - begin), looks, seen_lines, phi, bounds, logs)
            begin = pairs = 0
            for m in range(mixtures):
                likely(
                    span, count, densities, begin, ends[m], ruled_out, scratch, logs, which[m],
                    least[m], own[m], own_ends,
                )  # fmt: skip
                for k in range(begin, ends[m]):
                    left_ends[k] = counted(logs[k], least[m], count)
                    pairs += left_ends[k]
                begin = ends[m]
            if pairs > most * count:
                return first
            begin = start = 0
            for m in range(mixtures):
                for k in range(begin, ends[m]):
                    others, found = pairs_left[start:], 0
                    if left_ends[k] > own_ends[k] - (own_ends[k - 1] if k > begin else 0):
                        found = listed(logs[k], least[m], which[m], k - begin, count, others)
                        replace(span, others[:found], densities, k, scratch, logs)
                    left_ends[k] = start = start + found
                some = logs[begin : ends[m]]
                exponentials(some, floor, count, least[m], lines[-2], lines[-1])
                normalise(
                    some, weights, first, count, least[m], lines[-2], lines[-1],
                    counts[begin : ends[m]], totals[m],
                )  # fmt: skip
                for k in range(begin, ends[m]):
                    mine = own[m, own_ends[k - 1] if k > begin else 0 : own_ends[k]]
                    add(span, mine, logs[k], scratch, second[k], linear[k])
                    others = pairs_left[left_ends[k - 1] if k else 0 : left_ends[k]]
                    add(span, others, logs[k], scratch, second[k], linear[k])
                begin = ends[m]
        return size

    return sweep_apart


sweep_apart = kept(SOURCES)
