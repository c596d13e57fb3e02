"""Densities and posteriors of rows, a few thousand rows at a time: arrays in, arrays out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gmm_dask.mixture.arrays import Array, Rows, as_rows
from gmm_dask.mixture.refusals import Refusal

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


def log_joint(rows: ArrayLike, means: Array, factors: Array, log_normalisers: Array) -> Array:
    """log w_k N(x_n | μ_k, Σ_k), (N, K); factors (K, D, D) or (K, D), log_normalisers (K,)."""
    k, d = means.shape
    rows = as_rows(rows, d)
    logs = np.empty((len(rows), k))
    step = max(64, 2**18 // d)
    for start in range(0, len(rows), step):
        block: Rows = rows[start : start + step].astype(np.float64)
        if not np.isfinite(block).all():
            bad = start + int(np.argmax(~np.isfinite(block).all(axis=1)))
            raise Refusal(f"row {bad} is not finite: {rows[bad]}")
        for j in range(k):
            logs[start : start + step, j] = squared_distances(block, means[j], factors[j])
    logs *= -0.5
    logs += log_normalisers
    return logs


def responsibilities(logs: Array) -> Array:
    """p(component k | x_n) of log joint densities (N, K), which are overwritten."""
    logs -= logs.max(axis=1, keepdims=True)
    np.exp(logs, out=logs)
    logs /= logs.sum(axis=1, keepdims=True)
    return logs


def log_sum_exp(logs: Array) -> Array:
    """log Σ_k exp(l_nk), (N,), without overflow."""
    top = logs.max(axis=1)
    return top + np.log(np.exp(logs - top[:, None]).sum(axis=1))
