"""Log-densities to weighted responsibilities, and the sums that a log-likelihood is made of."""
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls

from numba import njit

from gmm_dask.mixture.compiled.vectors import EXACT, REDUCING, exp, full_vectors, log


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
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
            share = exp(below)
            line[t] = share
            total[t] += share
            mixed[t] += share * below


@njit(fastmath=EXACT, forceinline=True, error_model="numpy")
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


@njit(fastmath=REDUCING, forceinline=True, error_model="numpy")
def log_of_product(total, largest, count):
    """Σ log of numbers from 1 to `largest`: the logarithm of their product, taken in parts that
    cannot overflow. A logarithm a row would be a third of the time where there are few features."""
    full_vectors()
    bits = 1
    while largest >> bits:
        bits += 1
    together, logs = 1000 // bits, 0.0
    for first in range(0, count, together):
        part, product = total[first : min(first + together, count)], 1.0
        for t in range(len(part)):
            product *= part[t]
        logs += log(product)
    return logs


@njit(fastmath=REDUCING, forceinline=True, error_model="numpy")
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
