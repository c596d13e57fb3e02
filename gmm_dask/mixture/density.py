"""What one mixture says of rows: densities, posteriors, labels. Arrays in, arrays out.

In compiled loops where there are some, and then a row's bits do not depend on the rows beside it;
else a few hundred rows at a time. To 1e-12 in both, however far out a row lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gmm_dask.mixture.arrays import Array, Indices, Rows, as_read, as_rows, double_or_single
from gmm_dask.mixture.compilation import compiles, loops
from gmm_dask.mixture.refusals import Refusal

LARGEST_DEVIATION = 1e150
"""Standardised deviations are cut here: their squares still sum without overflow."""
COUNTS_FROM, LOWEST = -40.0, -700.0
"""A component whose log-density lies so far below another's adds nothing to a sum with it, e⁻⁴⁰ at
most; and its posterior is 0, below what normal numbers can hold."""
LOOK_FROM_FEATURES, LOOK_FROM_COMPONENTS = 16, 4
"""A first look, at some of the coordinates, may be taken from here on."""
SEEN, WORTH = (1 / 4, 1 / 2, 3 / 4), 0.9
"""Shares of the coordinates that a look may see; and of the whole work that it may cost, with all
that it leaves."""
PAIR, JUDGED = 2.0, 32
"""A log-density that a look leaves takes as long as so many of those that are worked out for all
rows; judged by rows in the middle of so many components."""
TILE, TALLEST = 256, 2048
"""Rows at once; with a look, so many that a component has some tens of them."""
STRIP_VALUES = 8_000
"""Without compiled loops temporaries stay below 64 kB. On Dask's workers MALLOC_TRIM_THRESHOLD_ is
65536, so larger ones come fresh from the kernel each time, and scoring took three times as long."""
STEP_VALUES = 2**20
"""Values that are given to the loops at once, and copied where rows are of another type."""


class Scores(NamedTuple):
    """Of each row; densities (N,) and posteriors (N, K) are empty unless they were asked for."""

    labels: Indices
    log_density: Array
    responsibilities: Array


class Terms(NamedTuple):
    """What log w_k N(x | k) is made of: means (K, D), factors (K, D, D) or (K, D), normalisers."""

    means: Array
    factors: Array
    log_normalisers: Array


def scores(
    rows: ArrayLike, terms: Terms, *, density: bool = False, responsibilities: bool = False
) -> Scores:
    """The most probable component of each row, and what else is asked for."""
    rows = as_rows(rows, terms.means.shape[1])
    n, (k, d) = len(rows), terms.means.shape
    found = Scores(
        np.empty(n, np.intp),
        np.empty(n if density else 0),
        np.empty((n, k) if responsibilities else (0, 0)),
    )
    if compiles("scored"):
        _fill_compiled(found, rows, terms)
    else:
        for strip in strips(n, STRIP_VALUES // max(k, d)):
            _fill(found, rows, strip, terms)
    return found


def strips(size: int, step: int) -> Iterator[slice]:
    """Parts of so many rows."""
    step = max(64, step)
    return (slice(start, start + step) for start in range(0, size, step))


def _fill_compiled(found: Scores, rows: Rows, terms: Terms) -> None:
    ruled_out = COUNTS_FROM if len(found.log_density) else 0.0
    ruled_out = LOWEST if len(found.responsibilities) else ruled_out
    prepared, score = _prepared(terms, ruled_out), loops("scored").score
    for part in strips(len(rows), STEP_VALUES // rows.shape[1]):
        some = double_or_single(as_read(rows[part]))
        score(*some, *prepared, COUNTS_FROM, LOWEST, TILE, *(whole[part] for whole in found))
    # so far out that squares overflow: there, deviations are cut
    _fill(found, rows, np.flatnonzero(found.labels < 0), terms)


def _fill(found: Scores, rows: Rows, which: slice | Indices, terms: Terms) -> None:
    block = rows[which].astype(np.float64)
    if not len(block):
        return
    _check_finite(block, np.arange(len(rows))[which])
    logs = log_joint(block, *terms)
    found.labels[which] = logs.argmax(axis=1)
    if len(found.log_density):
        found.log_density[which] = log_sum_exp(logs)
    if len(found.responsibilities):
        found.responsibilities[which] = responsibilities_of(logs)


def _prepared(terms: Terms, ruled_out: float) -> tuple[object, ...]:
    """The terms as the loops have them, filled up with zeros, factors transposed; and the look."""
    means, factors, normalisers = terms
    k, d = means.shape
    factors = factors[:, :, 0] if d == 1 and factors.ndim == 3 else factors
    if factors.ndim == 2:
        wide, reciprocals = (filled(values, (k, d + d % 2)) for values in (means, factors))
        return wide, np.empty((0, 0, 0)), reciprocals, normalisers, 0, 0.0, 0.0, TILE
    width = -(-d // 4) * 4
    wide, transposed = (
        filled(means, (k, width)),
        filled(factors.transpose(0, 2, 1), (k, width, width)),
    )
    return wide, transposed, np.empty((0, 0)), normalisers, *_look(terms, ruled_out)


def _look(terms: Terms, ruled_out: float) -> tuple[int, float, float, int]:
    """How many coordinates a look sees, none where it would not pay; how far below the likeliest of
    a row it rules out others, how many it may leave to a row; and how many rows it takes."""
    means, factors, normalisers = terms
    k, d = means.shape
    if d < LOOK_FROM_FEATURES or k < LOOK_FROM_COMPONENTS:
        return 0, ruled_out, 0.0, TILE
    judged = np.linspace(0, k - 1, min(k, JUDGED)).astype(np.intp)
    distances = np.cumsum(((means[judged] - means[:, None]) @ factors) ** 2, axis=2)
    least = normalisers[judged] - 0.5 * d + ruled_out
    costs = dict[float, tuple[int, float]]()
    for seen in (int(share * d) // 4 * 4 for share in SEEN):
        bounds = normalisers[:, None] - 0.5 * (distances[:, :, seen - 1] + seen)
        left, looking = (bounds >= least).sum(axis=0).mean(), k * (seen / d) ** 2
        costs[looking + PAIR * max(1.0, left)] = seen, (k - looking) / PAIR
    cheapest = min(costs)
    if cheapest > WORTH * k:
        return 0, ruled_out, 0.0, TILE
    seen, most = costs[cheapest]
    return seen, ruled_out, most, int(np.clip(64 * k, TILE, TALLEST))


def filled(values: Array, shape: tuple[int, ...]) -> Array:
    """The values, and zeros where an array of this shape has more."""
    wide = np.zeros(shape)
    wide[tuple(map(slice, values.shape))] = values
    return wide


def squared_distances(rows: Array, mean: Array, factor: Array) -> Array:
    """(x − μ)ᵀ Σ⁻¹ (x − μ), (N,): Mahalanobis; `factor` is U (D, D) or 1/σ (D,)."""
    deviations = rows - mean
    with np.errstate(over="ignore", invalid="ignore"):
        whitened = deviations * factor if factor.ndim == 1 else deviations @ factor
    largest = np.abs(whitened).max(initial=0)
    if not largest < LARGEST_DEVIATION:
        whitened = np.clip(np.nan_to_num(whitened), -LARGEST_DEVIATION, LARGEST_DEVIATION)
    return np.einsum("nd,nd->n", whitened, whitened)


def log_joint(rows: ArrayLike, means: Array, factors: Array, log_normalisers: Array) -> Array:
    """log w_k N(x_n | μ_k, Σ_k), (N, K); factors (K, D, D) or (K, D), log_normalisers (K,)."""
    k, d = means.shape
    rows = as_rows(rows, d)
    logs = np.empty((len(rows), k))
    step = max(64, 2**18 // d)
    for start in range(0, len(rows), step):
        block: Rows = rows[start : start + step].astype(np.float64)
        _check_finite(block, np.arange(start, start + len(block)))
        for j in range(k):
            logs[start : start + step, j] = squared_distances(block, means[j], factors[j])
    logs *= -0.5
    logs += log_normalisers
    return logs


def _check_finite(block: Array, numbers: Indices) -> None:
    finite = np.isfinite(block)
    if not finite.all():
        bad = int(np.argmin(finite.all(axis=1)))
        raise Refusal(f"row {numbers[bad]} is not finite: {block[bad]}")


def responsibilities_of(logs: Array) -> Array:
    """p(component k | x_n) of log joint densities (N, K), which are overwritten."""
    logs -= logs.max(axis=1, keepdims=True)
    np.exp(logs, out=logs)
    logs /= logs.sum(axis=1, keepdims=True)
    return logs


def log_sum_exp(logs: Array) -> Array:
    """log Σ_k exp(l_nk), (N,), without overflow."""
    top = logs.max(axis=1)
    return top + np.log(np.exp(logs - top[:, None]).sum(axis=1))
