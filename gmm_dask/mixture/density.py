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
COUNTS_FROM, LOWEST = -60.0, -700.0
"""A component whose log-density lies so far below another's adds nothing to a sum with it; and its
posterior is 0, below what normal numbers can hold."""
LOOK_FROM_FEATURES, LOOK_FROM_COMPONENTS = 16, 4
"""A first look, at some of the coordinates, is taken from here on."""
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
    prepared, score = _prepared(terms), loops("scored").score
    for part in strips(len(rows), STEP_VALUES // rows.shape[1]):
        some = double_or_single(as_read(rows[part]))
        score(*some, *prepared, *(whole[part] for whole in found))
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


def _prepared(terms: Terms) -> tuple[object, ...]:
    """The terms as the loops have them: factors transposed and filled up to fours; how far a look
    sees, and how many log-densities of a row it may leave; and how many rows are taken at once."""
    means, factors, normalisers = terms
    k, d = means.shape
    factors = factors[:, :, 0] if d == 1 and factors.ndim == 3 else factors
    limits = COUNTS_FROM, LOWEST
    if factors.ndim == 2:
        empty = np.empty((0, 0, 0))
        return means, empty, np.ascontiguousarray(factors), normalisers, 0, 0.0, *limits, TILE
    width = -(-d // 4) * 4
    filled = np.zeros((k, width, width))
    filled[:, :d, :d] = factors.transpose(0, 2, 1)
    looks = d >= LOOK_FROM_FEATURES and k >= LOOK_FROM_COMPONENTS
    seen, most = _look(k, width) if looks else (0, 0.0)
    height = int(np.clip(64 * k, TILE, TALLEST)) if seen else TILE
    return means, filled, np.empty((0, 0)), normalisers, seen, most, *limits, height


def _look(components: int, width: int) -> tuple[int, float]:
    """How many coordinates a look sees; and how many log-densities of a row it may leave, of which
    one costs two of those that are worked out for all rows."""
    seen = width // 2 // 4 * 4
    return seen, components * (1 - seen * (seen + 8) / (width * (width + 8))) / 2


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
