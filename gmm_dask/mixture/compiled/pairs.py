"""Pairs of a row and a component: which of them count, their log-densities, their sums.

Rows of one component are gathered, some hundred at once, so that products are dense ones again,
with its own rows in the lanes.
"""
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls

from typing import Any, NamedTuple

from numba import njit

from gmm_dask.mixture.compiled.products import (
    accumulate_4_by_4,
    log_densities,
    multiply_4_by_4,
    standardise,
)
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


class Pairs(NamedTuple):
    """What is known of a span: log-densities, which are bounds at first and weighted
    responsibilities in the end; each row's likeliest component, and the least that counts beside
    it; the rows of each component that it is the likeliest of, and those that are left to it."""

    logs: Any
    which: Any
    least: Any
    own: Any
    own_ends: Any
    left: Any
    left_ends: Any


class Scratch(NamedTuple):
    """For the rows that are gathered: their copy, and lines of them."""

    copy: Any
    z: Any
    shares: Any
    whitened: Any
    values: Any


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
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


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
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


@njit(forceinline=True, error_model="numpy")
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


@njit(forceinline=True, error_model="numpy")
def listed(line, least, which, k, count, chosen):
    """How many rows that are not k's have a number no smaller; they come first in `chosen`."""
    size = 0
    for t in range(count):
        chosen[size] = t
        size += (line[t] >= least[t]) & (which[t] != k)
    return size


@njit(fastmath=REDUCING, forceinline=True, error_model="numpy")
def counted(line, least, count):
    """How many of the numbers are no smaller."""
    full_vectors()
    size = 0
    for t in range(count):
        size += line[t] >= least[t]
    return size


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
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


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def copied(rows, own, copy):
    full_vectors()
    for s in range(len(own)):
        row, to = rows[own[s]], copy[s]
        for i in range(len(row)):
            to[i] = row[i]


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def distances(z, factor, offset, count, whitened, squares):
    """|Uᵀz − Uᵀμ|², four coordinates at a time."""
    full_vectors()
    y0, y1, y2, y3 = whitened[0], whitened[1], whitened[2], whitened[3]
    for t in range(count):
        squares[t] = 0.0
    for j in range(0, len(factor), 4):
        o0, o1, o2, o3 = offset[j], offset[j + 1], offset[j + 2], offset[j + 3]
        for t in range(count):
            y0[t], y1[t], y2[t], y3[t] = -o0, -o1, -o2, -o3
        for i in range(0, j + 4, 4):
            multiply_4_by_4(factor[j : j + 4, i : i + 4], z[i : i + 4], whitened, count)
        for t in range(count):
            squares[t] += y0[t] * y0[t] + y1[t] * y1[t] + y2[t] * y2[t] + y3[t] * y3[t]


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def replace(span, own, densities, k, scratch, logs):
    """Component k's log-densities of some rows, in full."""
    factor, offset, line = densities.factors[k], densities.offsets[k], logs[k]
    for begin in range(0, len(own), PIECE):
        some = own[begin : begin + PIECE]
        count = gathered(span, some, scratch)
        distances(scratch.z, factor, offset, count, scratch.whitened, scratch.values)
        for s in range(len(some)):
            line[some[s]] = densities.normalisers[k] - 0.5 * scratch.values[s]


@njit(fastmath=REDUCING, forceinline=True, error_model="numpy")
def add(span, own, posteriors, scratch, second, linear):
    """One component's Σ r z zᵀ on and above the diagonal, four by four, and Σ r z of some rows."""
    full_vectors()
    weights, z, shares = scratch.values, scratch.z, scratch.shares
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


@njit(forceinline=True, error_model="numpy")
def own_rows(pairs, m, begin, k):
    """The rows that component k is the likeliest of; its mixture's first is `begin`."""
    return pairs.own[m, pairs.own_ends[k - 1] if k > begin else 0 : pairs.own_ends[k]]


@njit(forceinline=True, error_model="numpy")
def left_rows(pairs, k):
    """Its other rows, after `complete`."""
    return pairs.left[pairs.left_ends[k - 1] if k else 0 : pairs.left_ends[k]]


@njit(forceinline=True, error_model="numpy")
def likely(span, count, densities, m, begin, end, ruled_out, scratch, pairs):
    """For mixture m, the components from `begin` to `end`: each row's likeliest, and its
    log-density in full. How many pairs do not lie `ruled_out` below, by component in left_ends."""
    least = pairs.least[m]
    most_likely(pairs.logs[begin:end], count, pairs.which[m], least)
    grouped(pairs.which[m], count, pairs.own[m], pairs.own_ends[begin:end])
    for k in range(begin, end):
        own = own_rows(pairs, m, begin, k)
        replace(span, own, densities, k, scratch, pairs.logs)
        for t in own:
            least[t] = pairs.logs[k, t] + ruled_out
    total = 0
    for k in range(begin, end):
        pairs.left_ends[k] = counted(pairs.logs[k], least, count)
        total += pairs.left_ends[k]
    return total


@njit(forceinline=True, error_model="numpy")
def complete(span, count, densities, m, begin, end, scratch, pairs):
    """The log-densities of all other pairs that count, in full."""
    for k in range(begin, end):
        start = pairs.left_ends[k - 1] if k else 0
        left, size = pairs.left[start:], 0
        if pairs.left_ends[k] > len(own_rows(pairs, m, begin, k)):
            line = pairs.logs[k]
            size = listed(line, pairs.least[m], pairs.which[m], k - begin, count, left)
            replace(span, left[:size], densities, k, scratch, pairs.logs)
        pairs.left_ends[k] = start + size
