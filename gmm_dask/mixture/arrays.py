"""The array types the mathematics speaks of, and how arguments become read-only arrays of them."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmm_dask.mixture.refusals import Refusal

Array: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.intp]
Rows: TypeAlias = NDArray[Any]
"""Rows as they are stored: any real dtype; kernels convert a few thousand at a time."""


def frozen(values: ArrayLike) -> Array:
    """A read-only float64 array; a copy unless it was one already."""
    array = np.asarray(values, dtype=np.float64)
    return fixed(array.copy()) if array.flags.writeable else array


def fixed(array: Array) -> Array:
    """An array that nobody else has, read-only from here on."""
    array.flags.writeable = False
    return array


def as_rows(rows: ArrayLike, features: int | None = None) -> Rows:
    """Rows as an (N, D) array of a real dtype; 1-D data is D = 1; a view where it can be."""
    array = np.asarray(rows)
    if array.dtype.kind not in "fiu":
        raise Refusal(f"rows must be real numbers, these are {array.dtype}")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise Refusal(f"rows must form an (N, D) array, this one has shape {array.shape}")
    if features is not None and array.shape[1] != features:
        raise Refusal(f"rows have {array.shape[1]} features, the mixture has {features}")
    return array


def as_weights(weights: ArrayLike | None, rows: int) -> Array | None:
    """Sample weights as an (N,) float64 array of finite numbers that are not negative, or None."""
    if weights is None:
        return None
    array = np.asarray(weights, dtype=np.float64)
    if array.shape != (rows,):
        raise Refusal(f"{rows} rows need weights of shape ({rows},), not {array.shape}")
    if not (np.isfinite(array).all() and (array >= 0).all()):
        first = int(np.argmax(~(np.isfinite(array) & (array >= 0))))
        raise Refusal(f"weights must be finite and not negative, row {first} has {array[first]}")
    return array


def double_or_single(rows: Rows) -> tuple[Rows, Rows]:
    """The rows in one of two arrays, the other being empty."""
    double, single = np.empty((0, rows.shape[1])), np.empty((0, rows.shape[1]), np.float32)
    return (double, rows) if rows.dtype == np.float32 else (rows, single)


def as_read(rows: Rows) -> Rows:
    """Rows as compiled loops read them: float64 or float32, C-ordered and aligned."""
    kind = np.float32 if rows.dtype == np.float32 else np.float64
    return np.require(rows, kind, ["C", "A"])
