"""Where few responsibilities count: each row added to its own components alone."""
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls

from numba import njit

from gmm_dask.mixture.compiled.vectors import EXACT, REDUCING, full_vectors

ALONE, MORE_COLUMNS = 5, 240
"""Adding one row to one component alone takes as long as so many times its columns, and that many
more, in the product of all rows by all components (`few_count`)."""


@njit(fastmath=REDUCING, forceinline=True, error_model="numpy")
def few_count(posteriors, counts, negligible, mixtures, count, columns):
    """Whether so many responsibilities are negligible, beside all that their component has so far,
    that rows are better added to their own components one by one."""
    full_vectors()
    cost, whole = ALONE * (columns + MORE_COLUMNS), len(posteriors) * columns * count
    if cost * mixtures * count > whole:  # nor where every row had only one
        return False
    kept = 0
    for k in range(len(posteriors)):
        line, least = posteriors[k], negligible * counts[k]
        for t in range(count):
            kept += line[t] > least
    return cost * kept < whole


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
def accumulate_alone(
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


@njit(forceinline=True, error_model="numpy")
def listed(line, least, count, own):
    """How many of the numbers are larger; where they are comes first in `own`."""
    kept = 0
    for t in range(count):
        own[kept] = t
        kept += line[t] > least
    return kept


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
