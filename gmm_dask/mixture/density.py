"""Densities and posteriors of rows under one mixture, a few thousand rows at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from gmm_dask.mixture.arrays import Array, Rows, as_rows
from gmm_dask.mixture.refusals import Refusal

if TYPE_CHECKING:
    from gmm_dask.mixture.parameters import Mixture

LARGEST_DEVIATION = 1e150
"""Standardised deviations are cut here: their squares still sum without overflow."""


def squared_distances(rows: Array, mean: Array, factor: Array) -> Array:
    """(x − μ)ᵀ Σ⁻¹ (x − μ), (N,): Mahalanobis; `factor` is U (D, D) or 1/σ (D,)."""
    deviations = rows - mean
    with np.errstate(over="ignore", invalid="ignore"):
        whitened = deviations * factor if factor.ndim == 1 else deviations @ factor
    largest = np.abs(whitened).max(initial=0)
    if not largest < LARGEST_DEVIATION:
        whitened = np.clip(np.nan_to_num(whitened), -LARGEST_DEVIATION, LARGEST_DEVIATION)
    return np.einsum("nd,nd->n", whitened, whitened)


def log_joint(mixture: Mixture, rows: ArrayLike) -> Array:
    """log w_k N(x_n | μ_k, Σ_k), (N, K)."""
    rows = as_rows(rows, mixture.features)
    logs = np.empty((len(rows), mixture.components))
    factors = mixture.spread(mixture.factors)
    step = max(64, 2**18 // mixture.features)
    for start in range(0, len(rows), step):
        block: Rows = rows[start : start + step].astype(np.float64)
        if not np.isfinite(block).all():
            bad = start + int(np.argmax(~np.isfinite(block).all(axis=1)))
            raise Refusal(f"row {bad} is not finite: {rows[bad]}")
        for k in range(mixture.components):
            logs[start : start + step, k] = squared_distances(block, mixture.means[k], factors[k])
    logs *= -0.5
    logs += mixture.log_normalisers
    return logs


def log_density(mixture: Mixture, rows: ArrayLike) -> Array:
    """log p(x_n), (N,)."""
    return log_sum_exp(log_joint(mixture, rows))


def responsibilities(mixture: Mixture, rows: ArrayLike) -> Array:
    """p(component k | x_n), (N, K)."""
    logs = log_joint(mixture, rows)
    logs -= logs.max(axis=1, keepdims=True)
    np.exp(logs, out=logs)
    logs /= logs.sum(axis=1, keepdims=True)
    return logs


def log_sum_exp(logs: Array) -> Array:
    """log Σ_k exp(l_nk), (N,), without overflow."""
    top = logs.max(axis=1)
    return top + np.log(np.exp(logs - top[:, None]).sum(axis=1))
