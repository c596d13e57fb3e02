"""Keeping covariances positive definite: floors and triangular factors, for stacks of them."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dtrtri

from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.refusals import Refusal

ROUNDING = 8 * np.finfo(np.float64).eps
"""Eigenvalues of a D x D correlation matrix below D times this are rounding, not data."""
LARGEST = np.finfo(np.float64).max
AT_A_TIME = 4_000_000
"""Bytes of matrices that are looked at together: where components are large, all of them would
take several times what they are themselves."""


class NotPositiveDefiniteError(Refusal):
    """A covariance is not positive definite; `component` says whose."""

    def __init__(self, component: int) -> None:
        super().__init__(
            f"the covariance of component {component} is not positive definite: "
            "raise reg_covar, use fewer components or another covariance family"
        )
        self.component = component

    def __reduce__(self) -> tuple[type["NotPositiveDefiniteError"], tuple[int]]:
        return type(self), (self.component,)


def triangular_factors(matrices: Array) -> Array:
    """Upper triangular U (..., D, D) with matrix⁻¹ = U Uᵀ, through the Cholesky factors."""
    try:
        factors = np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        raise NotPositiveDefiniteError(_first_not_positive(matrices)) from None
    for factor in factors:
        factor[:] = dtrtri(factor.T)[0]
    return factors


def _first_not_positive(matrices: Array) -> int:
    for k, matrix in enumerate(matrices):
        try:
            np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            return k
    raise AssertionError("together they were not positive definite, one by one they are")


def square_root_factors(variances: Array) -> Array:
    """1/σ for variances of any shape, whose first axis is the component."""
    if not (variances > 0).all():
        raise NotPositiveDefiniteError(int(np.argwhere(~(variances > 0))[0, 0]))
    return 1 / np.sqrt(variances)


def floor_variances(variances: Array, floor: Array) -> tuple[Array, tuple[int, ...]]:
    """Variances (K, D) no smaller than `floor` (D,), and the components that were lifted."""
    low = ~(variances >= floor)
    return np.where(low, floor, variances), tuple(np.flatnonzero(low.any(axis=1)).tolist())


def floor_matrices(matrices: Array, floor: Array) -> tuple[Array, tuple[int, ...]]:
    """Matrices (K, D, D) whose variances are at least `floor` (D,) and whose correlations are
    positive definite beyond rounding, and the components that were changed; the same array where
    none was.

    The work is done on correlations, so that features of very different scale do not matter.
    """
    variances = np.diagonal(matrices, axis1=1, axis2=2)
    deviations = np.sqrt(np.minimum(np.fmax(variances, floor), LARGEST))
    low = (variances < floor).any(axis=1)
    lifted = matrices
    changed: list[int] = []
    many = max(1, AT_A_TIME // matrices[0].nbytes)
    for first in range(0, len(matrices), many):
        some = slice(first, first + many)
        by = deviations[some]
        # below the floor there may be nothing but rounding: no correlation is larger than 1
        with np.errstate(over="ignore"):
            correlations = matrices[some] / by[:, None] / by[:, :, None]
        np.minimum(np.maximum(correlations, -1, out=correlations), 1, out=correlations)
        doubtful = ~certainly_positive(correlations) | low[some]
        for k in doubtful.nonzero()[0].tolist():
            if not changed:
                lifted = matrices.copy()
            np.fill_diagonal(correlations[k], 1.0)
            lifted[first + k] = positive_part(correlations[k]) * by[k] * by[k][:, None]
            changed.append(first + k)
    return lifted, tuple(changed)


def certainly_positive(correlations: Array) -> NDArray[np.bool_]:
    """Whether the smallest eigenvalues are beyond rounding; cheap: λ_min ≥ 1 / ‖L⁻¹‖²."""
    try:
        factors = triangular_factors(correlations)
    except NotPositiveDefiniteError:
        if len(correlations) == 1:
            return np.array([False])
        return np.concatenate([certainly_positive(one[None]) for one in correlations])
    limit = correlations.shape[-1] * ROUNDING
    sure: NDArray[np.bool_] = np.einsum("kde,kde->k", factors, factors) * limit <= 1
    for k in (~sure).nonzero()[0]:
        sure[k] = np.linalg.eigvalsh(correlations[k])[0] >= limit
    return sure


def thinner_matrices(factors: Array, variance: float) -> NDArray[np.bool_]:
    """Whether matrices of these factors U (K, D, D) are below a variance in some direction.

    λ_min = 1 / ‖U‖², which is accurate whatever the scales of the features; cheap where the
    Frobenius norm leaves no doubt.
    """
    thin: NDArray[np.bool_] = np.einsum("kde,kde->k", factors, factors) * variance > 1
    for k in thin.nonzero()[0]:
        thin[k] = np.linalg.norm(factors[k], 2) ** 2 * variance > 1
    return thin


def positive_part(correlation: Array) -> Array:
    """The correlation with its eigenvalues lifted beyond rounding."""
    values, vectors = np.linalg.eigh(np.nan_to_num(correlation))
    lifted = np.maximum(values, 4 * len(values) * ROUNDING)
    matrix = (vectors * lifted) @ vectors.T
    return (matrix + matrix.T) / 2


def conditional_matrices(matrices: Array, kept: Indices, given: Indices) -> Array:
    """Covariances (K, a, a) of the kept features once the given ones are known.

    The tail of the Cholesky factor, and so positive definite whatever the rounding.
    """
    order = np.concatenate([given, kept])
    lower = np.linalg.cholesky(matrices[:, order[:, None], order])
    tail = lower[:, len(given) :, len(given) :]
    return tail @ tail.transpose(0, 2, 1)
