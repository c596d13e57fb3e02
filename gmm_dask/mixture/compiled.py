"""The loops of the fused kernel, compiled by numba; knows arrays and nothing else.

A tile of some hundred rows goes through all of the quadratic kernel while it is in the innermost
caches: features, log-densities, responsibilities, sums. Every inner loop runs over the rows of the
tile, one row a lane, so LLVM makes vectors of it; products take four features by four components
at a time, sixteen multiplications for eight loads.

Everything is in this one file because numba's cache on disk knows only the file of the function
that is called: what `sweep` compiles to must change when any of it does. The cache lies beside this
file, where that may not be written in the user's own cache folder (or in NUMBA_CACHE_DIR), and
where there is none at all each process compiles for itself, some seconds.
"""
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

logger = logging.getLogger(__name__)

SHIFT = 1.5 * 2.0**52
"""Added to a number below 2⁵¹, it leaves the nearest integer in the lowest bits."""
LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453
LN_2_HIGH, LN_2_LOW = 6.93145751953125e-1, 1.42860682030941723212e-6
"""ln 2 in two parts; the first times an integer below 2²¹ is exact (Cody and Waite)."""
LANES = 8
"""Rows and features that are turned over at once: LLVM makes no vectors of a column by itself."""
PAD = 3 * LANES
"""Numbers between the lines of a tile: where these begin 4 kB apart, a load waits for a store to
another line."""
ALONE, MORE_COLUMNS = 5, 240
"""Adding one row to one component alone takes as long as so many times its columns, and that many
more, in the product of all rows by all components (`apart`)."""
SQRT_HALF = 0x3FE6A09E667F3BCD
"""The bits of √½: numbers are written as m 2ᵉ with √½ ≤ m < √2."""
MANTISSA = 0xFFFFFFFFFFFFF

EXACT = {"contract"}
"""Fused multiply-add, and otherwise the operations as they are written."""
REDUCING = {"contract", "reassoc", "nsz"}
"""Sums over rows in any order, so that they may run in lanes; always the same one on one CPU."""


def cached(*arguments: Any, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """njit that keeps on disk what it compiled, where there is a place for it."""

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(*arguments, cache=True, **options)(function)
        except (RuntimeError, OSError) as problem:
            logger.warning("compiled for this process only: %s", problem)
            return njit(*arguments, **options)(function)

    return compiled


@intrinsic
def bits_of(typing, number):  # noqa: ARG001
    """The bits of a float64 as an int64."""

    def generate(context, builder, signature, arguments):  # noqa: ARG001
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def from_bits(typing, bits):  # noqa: ARG001
    """The float64 of these bits."""

    def generate(context, builder, signature, arguments):  # noqa: ARG001
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


@intrinsic
def full_vectors(typing):  # noqa: ARG001
    """Asks LLVM for vectors of 512 bits in the function that calls this, where the CPU has them: on
    Intel's it makes them of 256 by itself."""

    def generate(context, builder, signature, arguments):  # noqa: ARG001
        # llvmlite's own `add` refuses attributes of one target.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def exp(x):
    """eˣ for −700 ≤ x ≤ 700 to about one unit in the last place: 2ⁿ eʳ, |r| ≤ ½ ln 2, by Taylor."""
    shifted = x * LOG2_E + SHIFT
    n = shifted - SHIFT
    r = (x - n * LN_2_HIGH) - n * LN_2_LOW
    p = 1 / 479001600
    p = p * r + 1 / 39916800
    p = p * r + 1 / 3628800
    p = p * r + 1 / 362880
    p = p * r + 1 / 40320
    p = p * r + 1 / 5040
    p = p * r + 1 / 720
    p = p * r + 1 / 120
    p = p * r + 1 / 24
    p = p * r + 1 / 6
    p = p * r + 1 / 2
    p = p * r + 1
    p = p * r + 1
    return p * from_bits((bits_of(shifted) << 52) + (1023 << 52))


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def log(x):
    """ln x of a normal number: e ln 2 + 2 artanh s with s = (m − 1) / (m + 1), by its series."""
    above = bits_of(x) - SQRT_HALF
    m = from_bits((above & MANTISSA) + SQRT_HALF)
    e = from_bits((above >> 52) + bits_of(SHIFT)) - SHIFT
    s = (m - 1) / (m + 1)
    q = s * s
    p = 1 / 21
    p = p * q + 1 / 19
    p = p * q + 1 / 17
    p = p * q + 1 / 15
    p = p * q + 1 / 13
    p = p * q + 1 / 11
    p = p * q + 1 / 9
    p = p * q + 1 / 7
    p = p * q + 1 / 5
    p = p * q + 1 / 3
    return e * LN_2 + (2 * s + 2 * s * q * p)


@intrinsic
def turn_over(typing, rows, first, column, centre, unit, lines, t):  # noqa: ARG001
    """(x − centre) unit of LANES rows from `first`, of as many features from `column`: from one row
    after another into one feature a line, from t on."""
    place = types.intp
    taken = types.void(rows, place, place, centre, unit, lines, place)

    def generate(context, builder, signature, arguments):
        double, wide = ir.DoubleType(), ir.IntType(64)
        arrays = [
            context.make_array(kind)(context, builder, value) if kind != place else None
            for kind, value in zip(signature.args, arguments, strict=True)
        ]

        def at(which, number, *steps):
            """Where LANES numbers of an array begin."""
            address = builder.ptrtoint(arrays[which].data, wide)
            strides = cgutils.unpack_tuple(builder, arrays[which].strides)
            for step, stride in zip(steps, strides, strict=True):
                address = builder.add(address, builder.mul(step, stride))
            return builder.inttoptr(address, ir.VectorType(number, LANES).as_pointer())

        def load(which, *steps):
            number = context.get_data_type(signature.args[which].dtype)
            size = signature.args[which].dtype.bitwidth // 8
            found = builder.load(at(which, number, *steps), align=size)
            return found if size == 8 else builder.fpext(found, ir.VectorType(double, LANES))

        first, column, t = (arguments[i] for i in (1, 2, 6))
        middle, unit = load(3, column), load(4, column)
        lanes = [
            builder.fmul(builder.fsub(load(0, builder.add(first, wide(s)), column), middle), unit)
            for s in range(LANES)
        ]
        for width in (4, 2, 1):  # blocks of this side change places across the diagonal
            for s in (s for s in range(LANES) if not s & width):
                one, other = lanes[s], lanes[s | width]
                kept = [i ^ width | LANES if i & width else i for i in range(LANES)]
                moved = [i | LANES if i & width else i | width for i in range(LANES)]
                for row, mask in ((s, kept), (s | width, moved)):
                    chosen = ir.Constant(ir.VectorType(ir.IntType(32), LANES), mask)
                    lanes[row] = builder.shuffle_vector(one, other, chosen)
        for s, line in enumerate(lanes):
            builder.store(line, at(5, double, builder.add(column, wide(s)), t), align=8)
        return context.get_dummy_value()

    return taken, generate


@njit(fastmath=EXACT, error_model="numpy")
def standardise(rows, first, count, centre, unit, linear):
    """z = (x − centre) unit, one feature a line, subtracted in float64."""
    full_vectors()
    features = rows.shape[1]
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


@njit(fastmath=EXACT, error_model="numpy")
def square(linear, squares, count, features, phi):
    """z_i z_j for i ≤ j, or z_i² alone, into the first lines of φ."""
    full_vectors()
    f = 0
    for i in range(features):
        for j in range(i, i + 1 if squares else features):
            line, one, other = phi[f], linear[i], linear[j]
            for t in range(count):
                line[t] = one[t] * other[t]
            f += 1


@njit(fastmath=EXACT, error_model="numpy")
def multiply(a, constants, phi, logs, count):
    """L = A φ + a₀; components and features are even in number."""
    full_vectors()
    components, features = a.shape
    for k in range(components):
        line, constant = logs[k], constants[k]
        for t in range(count):
            line[t] = constant
    k4, f4 = components // 4 * 4, features // 4 * 4
    for k in range(0, k4, 4):
        for f in range(0, f4, 4):
            multiply_4_by_4(a[k : k + 4, f : f + 4], phi[f : f + 4], logs[k : k + 4], count)
    for k in range(0, components, 2):
        for f in range(f4 if k < k4 else 0, features, 2):
            multiply_2_by_2(a[k : k + 2, f : f + 2], phi[f : f + 2], logs[k : k + 2], count)


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


@njit(fastmath=EXACT, error_model="numpy")
def accumulate(posteriors, phi, sums, count):
    """G += R φᵀ; components and features are even in number."""
    full_vectors()
    components, features = sums.shape
    k4, f4 = components // 4 * 4, features // 4 * 4
    for k in range(0, k4, 4):
        for f in range(0, f4, 4):
            accumulate_4_by_4(
                posteriors[k : k + 4], phi[f : f + 4], sums[k : k + 4, f : f + 4], count
            )
    for k in range(0, components, 2):
        for f in range(f4 if k < k4 else 0, features, 2):
            accumulate_2_by_2(
                posteriors[k : k + 2], phi[f : f + 2], sums[k : k + 2, f : f + 2], count
            )


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
        for k, found in enumerate(column):
            sums[k, f] += found


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


@njit(fastmath=REDUCING, error_model="numpy")
def apart(posteriors, counts, negligible, mixtures, count, columns):
    """Whether so many responsibilities are negligible, beside all that their component has so far,
    that rows are better added to their own components one by one."""
    full_vectors()
    cost, whole = ALONE * (columns + MORE_COLUMNS), len(posteriors) * columns * count
    if cost * mixtures * count > whole:  # nor where every row had only one
        return False
    found = 0
    for k in range(len(posteriors)):
        line, least = posteriors[k], negligible * counts[k]
        for t in range(count):
            found += line[t] > least
    return cost * found < whole


@njit(fastmath=EXACT, error_model="numpy")
def accumulate_apart(
    rows, first, count, centre, unit, squares, posteriors, counts, negligible, sums, own, scratch
):  # fmt: skip
    """G += R φᵀ, of each component over its own rows alone, whose φ is made anew."""
    full_vectors()
    features = len(centre)
    products = features if squares else features * (features + 1) // 2
    z, share = scratch[0], scratch[1]
    for k in range(len(posteriors)):
        line, linear = posteriors[k], sums[k, products : products + features]
        for one in range(listed(line, negligible * counts[k], count, own)):
            r, row = line[own[one]], rows[first + own[one]]
            for i in range(features):
                z[i] = (row[i] - centre[i]) * unit[i]
                share[i] = r * z[i]
                linear[i] += share[i]
            if squares:
                add_product(sums[k, :features], share, z)
                continue
            f = 0
            for i in range(features):
                add_multiple(sums[k, f : f + features - i], z[i], share[i:features])
                f += features - i


@njit(error_model="numpy")
def listed(line, least, count, own):
    """How many of the numbers are larger; where they are comes first in `own`."""
    found = 0
    for t in range(count):
        own[found] = t
        found += line[t] > least
    return found


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def add_product(total, one, other):
    full_vectors()
    for i in range(len(total)):
        total[i] += one[i] * other[i]


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def add_multiple(total, factor, line):
    full_vectors()
    for i in range(len(total)):
        total[i] += factor * line[i]


@njit(fastmath=EXACT, error_model="numpy")
def exponentials(logs, floor, count, top, total, mixed):
    """exp(l − max l) in place of the log-densities l of one mixture; their sum over components,
    and that of each times its exponent. NaN stays NaN."""
    full_vectors()
    largest(logs, count, top, total, mixed)
    for k in range(len(logs)):
        line = logs[k]
        for t in range(count):
            below = line[t] - top[t]
            below = floor if below < floor else below
            # A name of its own: read again from the line, it is waited for until it is written.
            found = exp(below)
            line[t] = found
            total[t] += found
            mixed[t] += found * below


@njit(fastmath=EXACT, error_model="numpy")
def largest(logs, count, top, total, mixed):
    """The largest of the log-densities; and zero where sums begin."""
    full_vectors()
    one, other = logs[0], logs[len(logs) - 1]
    for t in range(count):
        top[t] = other[t] if other[t] > one[t] else one[t]
        total[t] = mixed[t] = 0.0
    for k in range(1, len(logs) - 1):
        line = logs[k]
        for t in range(count):
            top[t] = line[t] if line[t] > top[t] else top[t]


@njit(fastmath=REDUCING, error_model="numpy")
def log_of_product(total, largest, count):
    """Σ log of numbers from 1 to `largest`: the logarithm of their product, taken in parts that
    cannot overflow. A logarithm a row would be a third of the time where there are few features."""
    full_vectors()
    bits = 1
    while largest >> bits:
        bits += 1
    together, found = 1000 // bits, 0.0
    for first in range(0, count, together):
        part, product = total[first : min(first + together, count)], 1.0
        for t in range(len(part)):
            product *= part[t]
        found += log(product)
    return found


@njit(fastmath=REDUCING, error_model="numpy")
def normalise(posteriors, weights, first, count, top, total, mixed, counts, sums):
    """Weighted responsibilities, and Σ log of their sums, Σ of the largest, Σ r times exponent;
    and the sum of each component's."""
    full_vectors()
    evidence = peak = mixture = 0.0
    if len(weights):
        for t in range(count):
            weight = weights[first + t]
            evidence += weight * log(total[t])
            peak += weight * top[t]
            total[t] = weight / total[t]
            mixture += total[t] * mixed[t]
    else:
        evidence = log_of_product(total, len(posteriors), count)
        for t in range(count):
            peak += top[t]
            total[t] = 1 / total[t]
            mixture += total[t] * mixed[t]
    for k in range(len(posteriors)):
        line, members = posteriors[k], 0.0
        for t in range(count):
            line[t] *= total[t]
            members += line[t]
        counts[k] += members
    sums[0] += evidence
    sums[1] += peak
    sums[2] += mixture


@njit(error_model="numpy")
def workspace(lines, width):
    """Zeros, each line at the beginning of a cache line: a vector across two takes two loads."""
    whole = np.zeros(lines * width + LANES)
    begin = -(whole.ctypes.data // 8) % LANES
    return whole[begin : begin + lines * width].reshape(lines, width)


def read_only(kind: Any, dimensions: int) -> Any:
    """The type of a C-ordered array that is only read."""
    return types.Array(kind, dimensions, "C", readonly=True)


ARGUMENTS = (
    read_only(types.float64, 2),
    read_only(types.float32, 2),
    read_only(types.float64, 1),
    read_only(types.float64, 1),
    read_only(types.float64, 1),
    types.boolean,
    read_only(types.float64, 2),
    read_only(types.float64, 1),
    read_only(types.int64, 1),
    types.float64,
    types.float64,
    types.int64,
    types.float64[:, ::1],
    types.float64[::1],
    types.float64[:, ::1],
)


@cached(types.void(*ARGUMENTS), nogil=True, fastmath=EXACT, error_model="numpy")
def sweep(
    rows, rows_float32, weights, centre, scale, squares, a, constants, ends, floor, negligible,
    tile, sums, counts, totals
):  # fmt: skip
    """Add the sums of rows (N, D), which are in one of the first two arguments, the other being
    empty: one compilation serves both types. `weights` are (N,), or none at all.

    `a` (K, F) and `constants` (K,) are the coefficients of all mixtures, filled up to even numbers;
    mixture m has the components from ends[m − 1] to ends[m]; `sums` (K, F), `counts` (K,) and
    `totals` (M, 3) are added to.
    """
    full_vectors()
    components, columns = a.shape
    features, mixtures, unit = len(centre), len(ends), 1 / scale
    products = features if squares else features * (features + 1) // 2
    lines = workspace(columns + components + 3, tile + PAD)
    phi, logs = lines[:columns], lines[columns : columns + components]
    linear = phi[products : products + features]
    top, total, mixed = lines[-3], lines[-2], lines[-1]
    own, scratch = np.empty(tile, np.int64), np.empty((2, features))
    for first in range(0, max(len(rows), len(rows_float32)), tile):
        count = min(tile, max(len(rows), len(rows_float32)) - first)
        if len(rows):
            standardise(rows, first, count, centre, unit, linear)
        else:
            standardise(rows_float32, first, count, centre, unit, linear)
        square(linear, squares, count, features, phi)
        multiply(a, constants, phi, logs, count)
        begin = 0
        for m in range(mixtures):
            end = ends[m]
            some = logs[begin:end]
            exponentials(some, floor, count, top, total, mixed)
            normalise(some, weights, first, count, top, total, mixed, counts[begin:end], totals[m])
            begin = end
        if not apart(logs[:begin], counts, negligible, mixtures, count, columns):
            accumulate(logs, phi, sums, count)
        elif len(rows):
            accumulate_apart(
                rows, first, count, centre, unit, squares, logs[:begin], counts, negligible,
                sums, own, scratch,
            )  # fmt: skip
        else:
            accumulate_apart(
                rows_float32, first, count, centre, unit, squares, logs[:begin], counts,
                negligible, sums, own, scratch,
            )  # fmt: skip
