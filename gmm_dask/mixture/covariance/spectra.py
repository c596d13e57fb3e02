"""Eigenvalues and axes of matrices, and matrices of them; exactly symmetric."""

import numpy as np

from gmm_dask.mixture.arrays import Array


def spectra(matrices: Array) -> tuple[Array, Array]:
    """Eigenvalues (K, D), rising and above 0, and eigenvectors in columns (K, D, D)."""
    values, vectors = np.linalg.eigh(matrices)
    return np.maximum(values, np.finfo(np.float64).eps * values[:, -1:]), vectors


def matrices(values: Array, vectors: Array) -> Array:
    """Those of these eigenvalues (K, D) along these axes, (K, D, D) or (D, D) for all."""
    product = (vectors * values[:, None]) @ np.swapaxes(vectors, -1, -2)
    return (product + np.swapaxes(product, -1, -2)) / 2
