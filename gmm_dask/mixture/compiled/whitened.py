"""Log-densities of one mixture: rows whitened about each component's own mean, so that nothing
cancels, however far out they lie."""
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from gmm_dask.mixture.compiled.pairs import PIECE, copied, distances
from gmm_dask.mixture.compiled.products import standardise
from gmm_dask.mixture.compiled.vectors import EXACT, LANES, full_vectors


class Densities(NamedTuple):
    """log w_k N(x | k) = normaliser − ½ |Uᵀ (x − μ)|²: Uᵀ filled up to fours, or, if there is none,
    the reciprocal deviations of uncorrelated features."""

    means: Any
    factors: Any
    reciprocals: Any
    normalisers: Any
    none: Any
    one: Any


class Scratch(NamedTuple):
    """For rows of one component: their copy, and lines of them."""

    copy: Any
    z: Any
    whitened: Any
    squares: Any


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def lines_of(rows, rows_float32, first, count, centre, unit, lines):
    """(x − centre) unit, a feature a line."""
    full_vectors()
    if len(rows):
        standardise(rows, first, count, centre, unit, lines)
    else:
        standardise(rows_float32, first, count, centre, unit, lines)


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def deviations(x, mean, count, z):
    """x − μ."""
    full_vectors()
    for i in range(len(mean)):
        one, to, middle = x[i], z[i], mean[i]
        for t in range(count):
            to[t] = one[t] - middle


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def correlated(x, densities, coordinates, count, scratch, logs):
    """All log-densities of some rows, or upper bounds of them by the first coordinates alone."""
    full_vectors()
    for k in range(len(logs)):
        if len(x) == 2:
            two_squares(x, densities.means[k], densities.factors[k], count, logs[k])
        elif len(x) == 3:
            three_squares(x, densities.means[k], densities.factors[k], count, logs[k])
        else:
            seen = densities.means[k, : min(coordinates, len(x))]
            deviations(x, seen, count, scratch.z)
            factor = densities.factors[k, :coordinates]
            distances(scratch.z, factor, densities.none, count, scratch.whitened, logs[k])
    for k in range(len(logs)):
        joint(densities.normalisers[k], logs[k], count)


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def two_squares(x, mean, factor, count, squares):
    """|Uᵀ (x − μ)|² of two features."""
    full_vectors()
    x0, x1, m0, m1 = x[0], x[1], mean[0], mean[1]
    u00, u10, u11 = factor[0, 0], factor[1, 0], factor[1, 1]
    for t in range(count):
        d0, d1 = x0[t] - m0, x1[t] - m1
        y0, y1 = u00 * d0, u10 * d0 + u11 * d1
        squares[t] = y0 * y0 + y1 * y1


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def three_squares(x, mean, factor, count, squares):
    """The same of three."""
    full_vectors()
    x0, x1, x2, m0, m1, m2 = x[0], x[1], x[2], mean[0], mean[1], mean[2]
    u00, u10, u11 = factor[0, 0], factor[1, 0], factor[1, 1]
    u20, u21, u22 = factor[2, 0], factor[2, 1], factor[2, 2]
    for t in range(count):
        d0, d1, d2 = x0[t] - m0, x1[t] - m1, x2[t] - m2
        y0, y1, y2 = u00 * d0, u10 * d0 + u11 * d1, u20 * d0 + u21 * d1 + u22 * d2
        squares[t] = y0 * y0 + y1 * y1 + y2 * y2


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def joint(normaliser, squares, count):
    """Log-densities in place of squared distances; of what overflowed, minus infinity."""
    full_vectors()
    for t in range(count):
        fine = squares[t] < np.inf
        squares[t] = normaliser - 0.5 * squares[t] if fine else -np.inf


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def uncorrelated(x, densities, count, logs):
    """All log-densities of some rows under diagonal covariances."""
    full_vectors()
    for k in range(len(logs)):
        line = logs[k]
        for t in range(count):
            line[t] = 0.0
    features, components = densities.means.shape[1], len(logs)
    for k in range(0, components - 3, 4):
        for i in range(features):
            add_squares(
                x[i], densities.means[k : k + 4, i], densities.reciprocals[k : k + 4, i],
                logs[k : k + 4], count,
            )  # fmt: skip
    for k in range(components // 4 * 4, components):
        for i in range(features):
            add_square(x[i], densities.means[k, i], densities.reciprocals[k, i], logs[k], count)
    for k in range(components):
        joint(densities.normalisers[k], logs[k], count)


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def add_squares(x, means, reciprocals, squares, count):
    full_vectors()
    s0, s1, s2, s3 = squares[0], squares[1], squares[2], squares[3]
    m0, m1, m2, m3 = means[0], means[1], means[2], means[3]
    r0, r1, r2, r3 = reciprocals[0], reciprocals[1], reciprocals[2], reciprocals[3]
    for t in range(count):
        y0, y1, y2, y3 = (x[t] - m0) * r0, (x[t] - m1) * r1, (x[t] - m2) * r2, (x[t] - m3) * r3
        s0[t], s1[t] = s0[t] + y0 * y0, s1[t] + y1 * y1
        s2[t], s3[t] = s2[t] + y2 * y2, s3[t] + y3 * y3


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def add_square(x, mean, reciprocal, squares, count):
    full_vectors()
    for t in range(count):
        y = (x[t] - mean) * reciprocal
        squares[t] = squares[t] + y * y


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def replace(rows, rows_float32, own, densities, k, scratch, line):
    """Component k's log-densities of some rows, in full."""
    full_vectors()
    for begin in range(0, len(own), PIECE):
        some = own[begin : begin + PIECE]
        if len(rows):
            copied(rows, some, scratch.copy)
        else:
            copied(rows_float32, some, scratch.copy)
        count = (len(some) + LANES - 1) // LANES * LANES
        for s in range(len(some), count):
            for i in range(scratch.copy.shape[1]):
                scratch.copy[s, i] = scratch.copy[0, i]
        standardise(scratch.copy, 0, count, densities.means[k], densities.one, scratch.z)
        factor, squares = densities.factors[k], scratch.squares
        distances(scratch.z, factor, densities.none, count, scratch.whitened, squares)
        joint(densities.normalisers[k], squares, count)
        for s in range(len(some)):
            line[some[s]] = squares[s]
