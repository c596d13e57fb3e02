"""Rows as lines of features, and the two products of the quadratic kernel.

Every inner loop runs over the rows of a tile, one row a lane, so LLVM makes vectors of it; products
take four features by four components at a time, sixteen multiplications for eight loads.
"""
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from gmm_dask.mixture.compiled.vectors import (
    EXACT,
    LANES,
    REDUCING,
    full_vectors,
    turn_over,
)

PAD = 3 * LANES
"""Numbers between the lines of a tile: where these begin 4 kB apart, a load waits for a store to
another line."""


@njit(forceinline=True, error_model="numpy")
def workspace(lines, width):
    """Zeros, each line at the beginning of a cache line: a vector across two takes two loads."""
    whole = np.zeros(lines * width + LANES)
    begin = -(whole.ctypes.data // 8) % LANES
    return whole[begin : begin + lines * width].reshape(lines, width)


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def standardise(rows, first, count, centre, unit, linear):
    """z = (x − centre) unit of the first features, one a line, subtracted in float64."""
    full_vectors()
    features = len(centre)
    lanes, columns = count // LANES * LANES, features // LANES * LANES
    for t in range(0, lanes, LANES):
        for i in range(0, columns, LANES):
            turn_over(rows, first + t, i, centre, unit, linear, t)
    for i in range(features):
        line, middle, by = linear[i], centre[i], unit[i]
        column = rows[first : first + count, i]
        if i >= columns:
            for t in range(0, lanes, LANES):
                for s in range(LANES):
                    line[t + s] = (column[t + s] - middle) * by
        for t in range(lanes, count):
            line[t] = (column[t] - middle) * by


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def multiply_features(linear, left, right, at, phi, count):
    """φ, as many lines of it as there is room for: z_left z_right; z_left alone where right is
    negative, zeros where left is."""
    full_vectors()
    for f in range(min(len(phi), len(left) - at)):
        i, j, line = left[at + f], right[at + f], phi[f]
        if i < 0:
            for t in range(count):
                line[t] = 0.0
            continue
        one, other = linear[i], linear[j]
        if j < 0:
            for t in range(count):
                line[t] = one[t]
        else:
            for t in range(count):
                line[t] = one[t] * other[t]


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def log_densities(linear, left, right, a, constants, phi, logs, count):
    """L = A φ + a₀, as many features at a time as there is room for in φ; components and features
    are even in number."""
    full_vectors()
    for k in range(len(logs)):
        line, constant = logs[k], constants[k]
        for t in range(count):
            line[t] = constant
    for at in range(0, len(left), len(phi)):
        multiply_features(linear, left, right, at, phi, count)
        multiply(a, at, phi, logs, count)


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def multiply(a, at, phi, logs, count):
    """L += A φ, of the features from `at` on."""
    full_vectors()
    components, features = len(logs), min(len(phi), a.shape[1] - at)
    k4, f4 = components // 4 * 4, features // 4 * 4
    for k in range(0, k4, 4):
        for f in range(0, f4, 4):
            some = a[k : k + 4, at + f : at + f + 4]
            multiply_4_by_4(some, phi[f : f + 4], logs[k : k + 4], count)
    for k in range(0, components, 2):
        for f in range(f4 if k < k4 else 0, features, 2):
            some = a[k : k + 2, at + f : at + f + 2]
            multiply_2_by_2(some, phi[f : f + 2], logs[k : k + 2], count)


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def multiply_4_by_4(a, phi, logs, count):
    full_vectors()
    p0, p1, p2, p3 = phi[0], phi[1], phi[2], phi[3]
    l0, l1, l2, l3 = logs[0], logs[1], logs[2], logs[3]
    a00, a01, a02, a03 = a[0, 0], a[0, 1], a[0, 2], a[0, 3]
    a10, a11, a12, a13 = a[1, 0], a[1, 1], a[1, 2], a[1, 3]
    a20, a21, a22, a23 = a[2, 0], a[2, 1], a[2, 2], a[2, 3]
    a30, a31, a32, a33 = a[3, 0], a[3, 1], a[3, 2], a[3, 3]
    for t in range(count):
        x0, x1, x2, x3 = p0[t], p1[t], p2[t], p3[t]
        l0[t] = l0[t] + a00 * x0 + a01 * x1 + a02 * x2 + a03 * x3
        l1[t] = l1[t] + a10 * x0 + a11 * x1 + a12 * x2 + a13 * x3
        l2[t] = l2[t] + a20 * x0 + a21 * x1 + a22 * x2 + a23 * x3
        l3[t] = l3[t] + a30 * x0 + a31 * x1 + a32 * x2 + a33 * x3


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def multiply_2_by_2(a, phi, logs, count):
    full_vectors()
    p0, p1, l0, l1 = phi[0], phi[1], logs[0], logs[1]
    a00, a01, a10, a11 = a[0, 0], a[0, 1], a[1, 0], a[1, 1]
    for t in range(count):
        x0, x1 = p0[t], p1[t]
        l0[t] = l0[t] + a00 * x0 + a01 * x1
        l1[t] = l1[t] + a10 * x0 + a11 * x1


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def add_products(linear, left, right, posteriors, phi, sums, count):
    """G += R φᵀ, after `log_densities`: φ is made anew where it had no room as a whole."""
    full_vectors()
    for at in range(0, len(left), len(phi)):
        if len(left) > len(phi):
            multiply_features(linear, left, right, at, phi, count)
        accumulate(posteriors, phi, at, sums, count)


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def accumulate(posteriors, phi, at, sums, count):
    """G += R φᵀ, of the features from `at` on; components and features are even in number."""
    full_vectors()
    components, features = len(posteriors), min(len(phi), sums.shape[1] - at)
    k4, f4 = components // 4 * 4, features // 4 * 4
    for k in range(0, k4, 4):
        for f in range(0, f4, 4):
            some = sums[k : k + 4, at + f : at + f + 4]
            accumulate_4_by_4(posteriors[k : k + 4], phi[f : f + 4], some, count)
    for k in range(0, components, 2):
        for f in range(f4 if k < k4 else 0, features, 2):
            some = sums[k : k + 2, at + f : at + f + 2]
            accumulate_2_by_2(posteriors[k : k + 2], phi[f : f + 2], some, count)


@njit(fastmath=REDUCING, forceinline=True, error_model="numpy")
def accumulate_4_by_4(posteriors, phi, sums, count):
    full_vectors()
    p0, p1, p2, p3 = phi[0], phi[1], phi[2], phi[3]
    r0, r1, r2, r3 = posteriors[0], posteriors[1], posteriors[2], posteriors[3]
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = 0.0
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = 0.0
    for t in range(count):
        x0, x1, x2, x3 = p0[t], p1[t], p2[t], p3[t]
        y0, y1, y2, y3 = r0[t], r1[t], r2[t], r3[t]
        s00, s01, s02, s03 = s00 + y0 * x0, s01 + y0 * x1, s02 + y0 * x2, s03 + y0 * x3
        s10, s11, s12, s13 = s10 + y1 * x0, s11 + y1 * x1, s12 + y1 * x2, s13 + y1 * x3
        s20, s21, s22, s23 = s20 + y2 * x0, s21 + y2 * x1, s22 + y2 * x2, s23 + y2 * x3
        s30, s31, s32, s33 = s30 + y3 * x0, s31 + y3 * x1, s32 + y3 * x2, s33 + y3 * x3
    for f, column in enumerate(
        ((s00, s10, s20, s30), (s01, s11, s21, s31), (s02, s12, s22, s32), (s03, s13, s23, s33))
    ):
        for k, value in enumerate(column):
            sums[k, f] += value


@njit(fastmath=REDUCING, forceinline=True, error_model="numpy")
def accumulate_2_by_2(posteriors, phi, sums, count):
    full_vectors()
    p0, p1, r0, r1 = phi[0], phi[1], posteriors[0], posteriors[1]
    s00 = s01 = s10 = s11 = 0.0
    for t in range(count):
        x0, x1, y0, y1 = p0[t], p1[t], r0[t], r1[t]
        s00, s01, s10, s11 = s00 + y0 * x0, s01 + y0 * x1, s10 + y1 * x0, s11 + y1 * x1
    sums[0, 0] += s00
    sums[0, 1] += s01
    sums[1, 0] += s10
    sums[1, 1] += s11
