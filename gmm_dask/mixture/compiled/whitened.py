"""Log-densities of one mixture: rows whitened about each component's own mean, so that nothing
cancels, however far out they lie."""
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from gmm_dask.mixture.compiled.pairs import PIECE, copied
from gmm_dask.mixture.compiled.products import multiply_4_by_4, standardise
from gmm_dask.mixture.compiled.vectors import EXACT, LANES, full_vectors


class Densities(NamedTuple):
    """log w_k N(x | k) = normaliser − ½ |Uᵀ (x − μ)|²: μ and Uᵀ filled up to fours, or, if there is
    no U, the reciprocal deviations of uncorrelated features."""

    means: Any
    factors: Any
    reciprocals: Any
    normalisers: Any


class Scratch(NamedTuple):
    """For rows of one component: their copy, lines of them, x − μ, four coordinates, squares."""

    copy: Any
    x: Any
    z: Any
    whitened: Any
    squares: Any


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def lines_of(rows, rows_float32, first, count, lines):
    """A feature a line, in float64."""
    full_vectors()
    features = max(rows.shape[1], rows_float32.shape[1])
    none, one = np.zeros(features), np.ones(features)
    if len(rows):
        standardise(rows, first, count, none, one, lines)
    else:
        standardise(rows_float32, first, count, none, one, lines)


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def correlated(x, densities, coordinates, count, scratch, logs):
    """All log-densities of some rows, or upper bounds of them by the first coordinates alone."""
    full_vectors()
    for k in range(len(logs)):
        squared_norms(
            x, densities.means[k], densities.factors[k], coordinates, count, scratch.z,
            scratch.whitened, logs[k],
        )  # fmt: skip
        joint(densities.normalisers[k], logs[k], count)


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def squared_norms(x, mean, factor, coordinates, count, z, whitened, squares):
    """|Uᵀ (x − μ)|², four coordinates at a time: what earlier features add to them, then their own,
    of which U has a triangle."""
    full_vectors()
    for t in range(count):
        squares[t] = 0.0
    for j in range(0, coordinates, 4):
        four = factor[j : j + 4]
        for i in range(0, j, 4):
            if i == 0:
                product_4_by_4(four[:, :4], z[:4], whitened, count)
            else:
                multiply_4_by_4(four[:, i : i + 4], z[i : i + 4], whitened, count)
        add_norms(
            x[j : j + 4], mean[j : j + 4], four[:, j : j + 4], count, z[j : j + 4], j > 0, whitened,
            squares,
        )  # fmt: skip


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def product_4_by_4(a, z, whitened, count):
    full_vectors()
    z0, z1, z2, z3 = z[0], z[1], z[2], z[3]
    y0, y1, y2, y3 = whitened[0], whitened[1], whitened[2], whitened[3]
    a00, a01, a02, a03 = a[0, 0], a[0, 1], a[0, 2], a[0, 3]
    a10, a11, a12, a13 = a[1, 0], a[1, 1], a[1, 2], a[1, 3]
    a20, a21, a22, a23 = a[2, 0], a[2, 1], a[2, 2], a[2, 3]
    a30, a31, a32, a33 = a[3, 0], a[3, 1], a[3, 2], a[3, 3]
    for t in range(count):
        x0, x1, x2, x3 = z0[t], z1[t], z2[t], z3[t]
        y0[t] = a00 * x0 + a01 * x1 + a02 * x2 + a03 * x3
        y1[t] = a10 * x0 + a11 * x1 + a12 * x2 + a13 * x3
        y2[t] = a20 * x0 + a21 * x1 + a22 * x2 + a23 * x3
        y3[t] = a30 * x0 + a31 * x1 + a32 * x2 + a33 * x3


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def add_norms(x, mean, a, count, z, begun, whitened, squares):
    full_vectors()
    x0, x1, x2, x3 = x[0], x[1], x[2], x[3]
    z0, z1, z2, z3 = z[0], z[1], z[2], z[3]
    y0, y1, y2, y3 = whitened[0], whitened[1], whitened[2], whitened[3]
    m0, m1, m2, m3 = mean[0], mean[1], mean[2], mean[3]
    a00, a10, a11, a20, a21, a22 = a[0, 0], a[1, 0], a[1, 1], a[2, 0], a[2, 1], a[2, 2]
    a30, a31, a32, a33 = a[3, 0], a[3, 1], a[3, 2], a[3, 3]
    if not begun:
        for t in range(count):
            y0[t] = y1[t] = y2[t] = y3[t] = 0.0
    for t in range(count):
        d0, d1, d2, d3 = x0[t] - m0, x1[t] - m1, x2[t] - m2, x3[t] - m3
        z0[t], z1[t], z2[t], z3[t] = d0, d1, d2, d3
        w0, w1 = y0[t] + a00 * d0, y1[t] + a10 * d0 + a11 * d1
        w2 = y2[t] + a20 * d0 + a21 * d1 + a22 * d2
        w3 = y3[t] + a30 * d0 + a31 * d1 + a32 * d2 + a33 * d3
        squares[t] = squares[t] + w0 * w0 + w1 * w1 + w2 * w2 + w3 * w3


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def uncorrelated(x, densities, count, logs):
    """All log-densities of some rows under diagonal covariances; features are even in number."""
    full_vectors()
    means, reciprocals, fours = densities.means, densities.reciprocals, len(logs) // 4 * 4
    for k in range(len(logs)):
        line = logs[k]
        for t in range(count):
            line[t] = 0.0
    for k in range(0, fours, 4):
        for i in range(0, len(x), 2):
            four, two = slice(k, k + 4), slice(i, i + 2)
            add_squares(x[two], means[four, two], reciprocals[four, two], logs[four], count)
    for k in range(fours, len(logs)):
        for i in range(len(x)):
            add_square(x[i], means[k, i], reciprocals[k, i], logs[k], count)
    for k in range(len(logs)):
        joint(densities.normalisers[k], logs[k], count)


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def add_squares(x, m, r, squares, count):
    """What two features add for four components."""
    full_vectors()
    one, other, s0, s1, s2, s3 = x[0], x[1], squares[0], squares[1], squares[2], squares[3]
    m00, m01, m10, m11 = m[0, 0], m[0, 1], m[1, 0], m[1, 1]
    m20, m21, m30, m31 = m[2, 0], m[2, 1], m[3, 0], m[3, 1]
    r00, r01, r10, r11 = r[0, 0], r[0, 1], r[1, 0], r[1, 1]
    r20, r21, r30, r31 = r[2, 0], r[2, 1], r[3, 0], r[3, 1]
    for t in range(count):
        a, b = one[t], other[t]
        y00, y01, y10, y11 = (a - m00) * r00, (b - m01) * r01, (a - m10) * r10, (b - m11) * r11
        y20, y21, y30, y31 = (a - m20) * r20, (b - m21) * r21, (a - m30) * r30, (b - m31) * r31
        s0[t], s1[t] = s0[t] + y00 * y00 + y01 * y01, s1[t] + y10 * y10 + y11 * y11
        s2[t], s3[t] = s2[t] + y20 * y20 + y21 * y21, s3[t] + y30 * y30 + y31 * y31


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def add_square(x, mean, reciprocal, squares, count):
    """What one feature adds for one."""
    full_vectors()
    for t in range(count):
        y = (x[t] - mean) * reciprocal
        squares[t] = squares[t] + y * y


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def joint(normaliser, squares, count):
    """Log-densities in place of squared distances; of what overflowed, minus infinity."""
    full_vectors()
    for t in range(count):
        fine = squares[t] < np.inf
        squares[t] = normaliser - 0.5 * squares[t] if fine else -np.inf


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
        lines_of(scratch.copy, rows_float32, 0, count, scratch.x)
        squared_norms(
            scratch.x, densities.means[k], densities.factors[k], densities.factors.shape[1], count,
            scratch.z, scratch.whitened, scratch.squares,
        )  # fmt: skip
        joint(densities.normalisers[k], scratch.squares, count)
        for s in range(len(some)):
            line[some[s]] = scratch.squares[s]
