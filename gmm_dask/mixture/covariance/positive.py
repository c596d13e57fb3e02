"""Keeping covariances positive definite: floors and triangular factors, for stacks of them."""

import numpy as np
from scipy.linalg import solve_triangular

from gmm_dask.mixture.arrays import Array, Indices

ROUNDING = 8 * np.finfo(np.float64).eps
"""Eigenvalues of a D x D correlation matrix below D times this are rounding, not data."""


class NotPositiveDefiniteError(ValueError):
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
    """Upper triangular U (..., D, D) with matrix⁻¹ = U Uᵀ, through the Cholesky factor."""
    identity = np.eye(matrices.shape[-1])
    factors = np.empty_like(matrices)
    for k, matrix in enumerate(matrices):
        try:
            lower = np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            raise NotPositiveDefiniteError(k) from None
        factors[k] = solve_triangular(lower, identity, lower=True, check_finite=False).T
    return factors


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
    positive definite beyond rounding, and the components that were changed.

    The work is done on correlations, so that features of very different scale do not matter.
    """
    lifted, changed = matrices.copy(), []
    for k, matrix in enumerate(matrices):
        diagonal = np.maximum(np.nan_to_num(np.diagonal(matrix)), floor)
        deviation = np.sqrt(diagonal)
        # below the floor there may be nothing but rounding: no correlation is larger than 1
        with np.errstate(over="ignore"):
            correlation = np.clip(matrix / deviation / deviation[:, None], -1, 1)
        if (np.diagonal(matrix) < floor).any() or not certainly_positive(correlation):
            np.fill_diagonal(correlation, 1.0)
            lifted[k] = positive_part(correlation) * deviation * deviation[:, None]
            changed.append(k)
    return lifted, tuple(changed)


def certainly_positive(correlation: Array) -> bool:
    """Whether the smallest eigenvalue is beyond rounding; cheap: λ_min ≥ 1 / ‖L⁻¹‖²."""
    limit = len(correlation) * ROUNDING
    try:
        factor = triangular_factors(correlation[None])[0]
    except NotPositiveDefiniteError:
        return False
    if np.vdot(factor, factor) * limit <= 1:
        return True
    return bool(np.linalg.eigvalsh(correlation)[0] >= limit)


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
