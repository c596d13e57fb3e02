"""Two dimensions for many features: the directions in which the components differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from gmm_dask.mixture.arrays import Array, Rows
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.plots.colours import names_of

WHITENED = 1e-12
"""Directions of a smaller variance (relative, in standardised features) are rounding."""

SEPARATED = 1e-3
"""Directions in which means differ less (in variance, relative) do not tell components apart."""


@dataclass(frozen=True, eq=False)
class View:
    """A mixture, and rows if there are some, in the coordinates of a picture."""

    mixture: Mixture
    rows: Rows | None
    names: tuple[str, ...]


def view(
    mixture: Mixture,
    rows: Rows | None = None,
    names: Sequence[str] | None = None,
    *,
    most: int = 6,
    directions: int = 4,
) -> View:
    """All features where they are at most `most`, else the leading discriminant directions."""
    labels = names_of(mixture.features, names)
    if mixture.features <= most:
        return View(mixture, rows, labels)
    mixture = mixture.gaussians  # a box has no sides along other directions
    axes = discriminant_directions(mixture)[:, :directions]
    made = Mixture(
        mixture.weights,
        (mixture.means - mixture.mean) @ axes,
        symmetric(axes.T @ mixture.matrices @ axes),
        "full",
    )
    moved = None if rows is None else (np.asarray(rows, np.float64) - mixture.mean) @ axes
    scale = np.sqrt(mixture.variance)[:, None]
    named = tuple(described(j, axes[:, j] * scale[:, 0], labels) for j in range(axes.shape[1]))
    return View(made, moved, named)


def discriminant_directions(mixture: Mixture) -> Array:
    """Directions (D, D) of unit variance, those first in which components differ most.

    Fisher's, by the means, at most K − 1 of them; then those of the differing covariances, as in
    Scrucca (2010), "Dimension reduction for model-based clustering". One component alone has
    principal directions.
    """
    mixture = mixture.gaussians
    scale = np.sqrt(mixture.variance)
    offsets = (mixture.means - mixture.mean) / scale
    matrices = mixture.matrices / (scale[:, None] * scale)
    within = np.einsum("k,kde->de", mixture.weights, matrices)
    between = np.einsum("k,kd,ke->de", mixture.weights, offsets, offsets)
    values, vectors = eigh(symmetric(within + between))
    kept = values > WHITENED * values[-1]
    white = (vectors[:, kept] / np.sqrt(values[kept]))[:, ::-1]  # principal directions first
    if mixture.components == 1:
        return white / scale[:, None]
    spreads = white.T @ (matrices - within) @ white
    turned = differing(
        white.T @ between @ white,
        np.einsum("k,kde,kef->df", mixture.weights, spreads, spreads),
    )
    axes = white @ turned
    strongest = np.abs(axes).argmax(axis=0)
    signs = np.sign(axes[strongest, np.arange(axes.shape[1])])
    return axes * signs / scale[:, None]


def differing(between: Array, spread: Array) -> Array:
    """Orthonormal directions: eigenvectors of `between` first, where it ends those of `spread`."""
    values, vectors = eigh(symmetric(between))
    leading = values > SEPARATED * values[-1]
    rest = vectors[:, ~leading]
    _, turned = eigh(symmetric(rest.T @ spread @ rest)) if rest.size else (None, np.eye(0))
    directions: Array = np.hstack([vectors[:, leading][:, ::-1], (rest @ turned)[:, ::-1]])
    return directions


def described(index: int, loadings: Array, names: Sequence[str]) -> str:
    """A direction by the features that weigh most in it, loadings in standard deviations."""
    share = loadings / np.linalg.norm(loadings)
    leading = np.argsort(-np.abs(share), kind="stable")[:2]
    terms = " ".join(
        f"{'−' if share[j] < 0 else '+'}{abs(share[j]):.1f} {names[j]}" for j in leading
    )
    return f"direction {index + 1}\n({terms} …)"


def symmetric(matrices: Array) -> Array:
    """The same, rounding apart."""
    return (matrices + np.swapaxes(matrices, -1, -2)) / 2
