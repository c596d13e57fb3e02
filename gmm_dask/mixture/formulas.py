"""Covariances of every family by the book, from rows' scatter: for `textbook`, nothing else.

Written out here, as what is to be checked may not check itself. Where a family's M-step has no
closed form the book has two formulas that are used in turn: what is checked is that one more turn
leaves a solution as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.refusals import Refusal

Mean: TypeAlias = Callable[[Array, Array, Array], Array]


@dataclass(frozen=True)
class Formulas:
    """What a family makes of every component's matrix (K, D, D), by the book."""

    mean: Mean
    """Covariances from scatter, counts (K,) and, for a turn, the solution's matrices (K, D, D)."""
    total: Callable[[Array], Array]
    """The matrices' entries, summed where the family shares one number."""
    units: Callable[[Array], Array]
    """What covariances are measured by: products of standard deviations, in the family's shape."""
    free: Callable[[Array, Array], Array] = lambda slopes, _: slopes
    """Slopes in the family's shape along what it leaves free, at these matrices; and, of slopes
    that are sizes, sizes."""


def diagonals(matrices: Array) -> Array:
    """Of matrices (K, D, D), (K, D)."""
    return np.diagonal(matrices, axis1=1, axis2=2)


def _whole(matrices: Array) -> Array:
    return matrices


def _size(values: Array) -> Array:
    """|·|^{1/D} of diagonal matrices (..., D)."""
    return np.exp(np.log(values).mean(axis=-1, keepdims=True))


def _along(axes: Array, values: Array) -> Array:
    """L_k Λ_k L_kᵀ."""
    return np.asarray((axes * values[..., None, :]) @ np.swapaxes(axes, -1, -2), np.float64)


def _alike(spectra: Array, counts: Array, sizes: Array) -> Array:
    """A ∝ Σ_k Ω_k / λ_k with |A| = 1, then λ_k A with λ_k = tr(Ω_k A⁻¹) / (D n_k)."""
    shape = (spectra / sizes).sum(axis=0)
    shape = shape / _size(shape)
    return (spectra / shape).mean(axis=1, keepdims=True) / counts[:, None] * shape


def _equal(spectra: Array, counts: Array) -> Array:
    """λ A_k with A_k = Ω_k / |Ω_k|^{1/D} and λ = Σ_k |Ω_k|^{1/D} / n."""
    return spectra / _size(spectra) * (_size(spectra).sum() / counts.sum())


def _volumes(matrices: Array) -> Array:
    """λ_k = |Σ_k|^{1/D}, (K, 1)."""
    return np.exp(np.linalg.slogdet(matrices)[1] / matrices.shape[1])[:, None]


def _axes(matrices: Array) -> Array:
    """Axes that the matrices (K, D, D) have in common, (D, D)."""
    shares = np.sqrt(np.arange(2, len(matrices) + 2))
    axes: Array = np.linalg.eigh(np.tensordot(shares, matrices, 1))[1]
    return axes


def _vee(scatter: Array, counts: Array, solution: Array) -> Array:
    d = scatter.shape[1]
    shape = (scatter / _volumes(solution)[:, :, None]).sum(axis=0)
    shape = shape / np.linalg.det(shape) ** (1 / d)
    sizes = [np.trace(np.linalg.solve(shape, one)) for one in scatter]
    return (np.array(sizes) / (d * counts))[:, None, None] * shape


def _eev(scatter: Array, counts: Array, _: Array) -> Array:
    values, axes = np.linalg.eigh(scatter)
    return _along(axes, np.broadcast_to(values.sum(axis=0) / counts.sum(), values.shape))


def _vev(scatter: Array, counts: Array, solution: Array) -> Array:
    values, axes = np.linalg.eigh(scatter)
    return _along(axes, _alike(values, counts, _volumes(solution)))


def _evv(scatter: Array, counts: Array, _: Array) -> Array:
    sizes = _volumes(scatter)[:, :, None]
    return scatter / sizes * (sizes.sum() / counts.sum())


def _eve(scatter: Array, counts: Array, solution: Array) -> Array:
    axes = _axes(solution)
    return _along(axes, _equal(diagonals(axes.T @ scatter @ axes), counts))


def _vve(scatter: Array, counts: Array, solution: Array) -> Array:
    axes = _axes(solution)
    return _along(axes, diagonals(axes.T @ scatter @ axes) / counts[:, None])


def _free(volume: str, shape: str, orientation: str) -> Callable[[Array, Array], Array]:
    """Slopes along log λ, log A and angles of D; summed where components share them.

    Common axes of components of different shapes (E last, V in the middle) are improved in an
    M-step, not found: there Q rises, and that is another identity.
    """

    def shared(letter: str, slopes: Array) -> Array:
        return slopes.sum(axis=0) if letter == "E" else slopes

    def free(slopes: Array, matrices: Array) -> Array:
        size = (slopes >= 0).all()
        if slopes.ndim == 2:
            along, angles = slopes * diagonals(matrices), np.zeros(0)
        else:
            values, axes = np.linalg.eigh(matrices)
            if orientation == "E":
                axes = _axes(matrices)
                values = diagonals(axes.T @ matrices @ axes)
            axes = np.abs(axes) if size else axes
            there = np.swapaxes(axes, -1, -2) @ slopes @ axes
            along = diagonals(there) * values
            angles = there * (values[:, None, :] - values[:, :, None])
            angles = shared(orientation, np.abs(angles) if size else angles)
        volumes = shared(volume, along.sum(axis=1))
        shapes = shared(shape, along if size else along - along.mean(axis=1, keepdims=True))
        found = (volumes, shapes, *([] if (shape, orientation) == ("V", "E") else [angles]))
        return np.concatenate([part.ravel() for part in found])

    return free


def _geometric(name: str, mean: Mean) -> Formulas:
    shape = diagonals if name[2] == "I" else _whole
    return Formulas(mean, shape, shape, _free(*name))


FORMULAS = {
    "full": Formulas(lambda s, n, _: s / n[:, None, None], _whole, _whole),
    "tied": Formulas(
        lambda s, n, _: s.sum(axis=0) / n.sum(),
        lambda m: m.sum(axis=0),
        lambda m: m.mean(axis=0),
    ),
    "diag": Formulas(lambda s, n, _: diagonals(s) / n[:, None], diagonals, diagonals),
    "spherical": Formulas(
        lambda s, n, _: (diagonals(s) / n[:, None]).sum(axis=1) / s.shape[-1],
        lambda m: diagonals(m).sum(axis=1),
        lambda m: diagonals(m).mean(axis=1),
    ),
    "EII": Formulas(
        lambda s, n, _: np.array([diagonals(s).sum() / (s.shape[-1] * n.sum())]),
        lambda m: np.array([diagonals(m).sum()]),
        lambda m: np.array([diagonals(m).mean()]),
    ),
    "EEI": Formulas(
        lambda s, n, _: diagonals(s).sum(axis=0)[None] / n.sum(),
        lambda m: diagonals(m).sum(axis=0)[None],
        lambda m: diagonals(m).mean(axis=0)[None],
    ),
    "VEI": _geometric("VEI", lambda s, n, m: _alike(diagonals(s), n, _volumes(m))),
    "EVI": _geometric("EVI", lambda s, n, _: _equal(diagonals(s), n)),
    "VEE": _geometric("VEE", _vee),
    "EVE": _geometric("EVE", _eve),
    "VVE": _geometric("VVE", _vve),
    "EEV": _geometric("EEV", _eev),
    "VEV": _geometric("VEV", _vev),
    "EVV": _geometric("EVV", _evv),
}
"""By family."""


def formulas_of(family: str) -> Formulas:
    """Those of a family, or a sentence that says where they belong."""
    if family not in FORMULAS:
        raise Refusal(f"the textbook has no formulas of {family} covariances: add them to FORMULAS")
    return FORMULAS[family]
