"""One orientation for all components: the axes that come closest to diagonalising all of them.

There is no closed form. The axes turn by Newton's step with the Hessian's diagonal, which is all
of it where the components' matrices are diagonal already, and shorter until Q rises. (By the two
minorising bounds of Browne & McNicholas 2014 the same takes 10 to 100 times as many turns.)
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.full import Full
from gmm_dask.mixture.covariance.geometric import Geometric
from gmm_dask.mixture.covariance.spectra import matrices

FEWEST, LONGEST, TURNS = 5, 50, 10
"""Turns of the axes, at most: of each beginning where matrices are large, of the best one, and in
every later M-step, which goes on from where the one before it ended."""
AT_FIRST = 3e8
"""K·D³ that the turns of a beginning may take."""
SETTLED = 1e-13
"""Nats a row and feature, less than which is no gain."""
BEGINNINGS = 4
"""Components whose axes are tried where there are none from the iteration before."""
SHORTER = 20
"""Times that a turn is made shorter before the axes are left as they are."""


class OneOrientation(Geometric, Full):
    """λ_k D A_k Dᵀ: variances along the common axes D, which are improved in every M-step."""

    marginal_family = "full"

    @abstractmethod
    def along(self, counts: Array, spectra: Array) -> Array:
        """The variances (K, D) along the axes, of each component's own there."""

    def alike(self, counts: Array, own: Array, previous: Array | None = None) -> Array:
        if previous is not None:
            return matrices(*self._turned(counts, own, common_axes(previous), TURNS))
        turns = int(np.clip(AT_FIRST / (own.size * len(own[0])), FEWEST, LONGEST))
        tried = [self._turned(counts, own, axes, turns) for axes in beginnings(counts, own)]
        heights = [counts @ np.log(variances).sum(axis=1) for variances, _ in tried]
        _, axes = tried[int(np.argmin(heights))]
        return matrices(*self._turned(counts, own, axes, LONGEST))

    def _turned(self, counts: Array, own: Array, axes: Array, turns: int) -> tuple[Array, Array]:
        """Variances along axes, and the axes after so many turns, fewer where nothing is gained."""
        there = turned(own, axes)
        variances = self.along(counts, diagonals(there))
        for _ in range(turns):
            weighted = counts[:, None] / variances
            turn, there = better(there, weighted)
            axes, before = axes @ turn, variances
            variances = self.along(counts, diagonals(there))
            gain = counts @ np.log(before / variances).sum(axis=1)
            if not gain > SETTLED * counts.sum() * len(axes):
                break
        return variances, axes


def beginnings(counts: Array, own: Array) -> Array:
    """Axes to begin from where there are none: the features', those of the pooled covariance, and
    those of the heaviest components. From one alone the common ones are often a local optimum."""
    heaviest = np.argsort(-counts, kind="stable")[:BEGINNINGS]
    pooled = np.tensordot(counts, own, 1)[None]
    axes = np.linalg.eigh(np.concatenate([pooled, own[heaviest]]))[1]
    return np.concatenate([np.eye(own.shape[1])[None], axes])


def turned(own: Array, axes: Array) -> Array:
    """Dᵀ Σ_k D."""
    return np.asarray(axes.T @ own @ axes, np.float64)


def diagonals(stack: Array) -> Array:
    """Of matrices (K, D, D), (K, D)."""
    return np.diagonal(stack, axis1=1, axis2=2)


def common_axes(covariances: Array) -> Array:
    """The eigenvectors (D, D) of matrices that share them, told apart wherever one of them does."""
    shares = np.sqrt(np.arange(2, len(covariances) + 2)) / np.trace(covariances, axis1=1, axis2=2)
    return np.asarray(np.linalg.eigh(np.tensordot(shares, covariances, 1))[1], np.float64)


def better(there: Array, precisions: Array) -> tuple[Array, Array]:
    """A rotation R with a smaller Σ_k tr(Rᵀ S_k R P_k), P_k diagonal (K, D), of matrices S_k; and
    Rᵀ S_k R. None at all where there is no better one nearby."""
    variances = diagonals(there)
    differences = precisions[:, None, :] - precisions[:, :, None]
    slope = np.einsum("kde,kde->de", there, differences)
    bend = ((variances[:, :, None] - variances[:, None, :]) * differences).sum(axis=0)
    angles = np.triu(-slope / np.where(bend > 0, bend, np.inf), 1)
    angles = (angles - angles.T) / max(1.0, np.abs(angles).max(initial=0))
    height = np.vdot(variances, precisions)
    for _ in range(SHORTER):
        turn = rotation(angles)
        trial = turned(there, turn)
        if np.vdot(diagonals(trial), precisions) < height:
            return turn, trial
        angles = angles / 4
    return np.eye(len(slope)), there


def rotation(angles: Array) -> Array:
    """A rotation that is exp(Ω) to the second order in the skew-symmetric Ω."""
    q, r = np.linalg.qr(np.eye(len(angles)) + angles + angles @ angles / 2)
    return np.asarray(q * np.sign(np.diagonal(r)), np.float64)
