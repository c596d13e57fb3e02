"""Numbers in vectors: bits, exp, log, and rows turned into lines, as LLVM is to make them."""
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

SHIFT = 1.5 * 2.0**52
"""Added to a number below 2⁵¹, it leaves the nearest integer in the lowest bits."""
LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453
LN_2_HIGH, LN_2_LOW = 6.93145751953125e-1, 1.42860682030941723212e-6
"""ln 2 in two parts; the first times an integer below 2²¹ is exact (Cody and Waite)."""
LANES = 8
"""Rows and features that are turned over at once: LLVM makes no vectors of a column by itself."""
SQRT_HALF = 0x3FE6A09E667F3BCD
"""The bits of √½: numbers are written as m 2ᵉ with √½ ≤ m < √2."""
MANTISSA = 0xFFFFFFFFFFFFF

EXACT = {"contract"}
"""Fused multiply-add, and otherwise the operations as they are written."""
REDUCING = {"contract", "reassoc", "nsz"}
"""Sums over rows in any order, so that they may run in lanes; always the same one on one CPU."""


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
            vector = builder.load(at(which, number, *steps), align=size)
            return vector if size == 8 else builder.fpext(vector, ir.VectorType(double, LANES))

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
