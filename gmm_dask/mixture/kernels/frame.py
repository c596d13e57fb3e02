"""The coordinates in which rows of some mixtures are of order one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.memo import Remembered
from gmm_dask.mixture.parameters import Mixture


@dataclass(frozen=True, eq=False)
class Frame:
    """Coordinates z = (x − centre) / scale in which rows of these mixtures are of order one.

    Both come from the mixtures alone, so every block of a pass uses the same; the scale is a
    power of two in each feature, so scaling rounds nothing. After one M-step the centre is the
    mean of the data, whatever the mixture.
    """

    centre: Array
    scale: Array

    @staticmethod
    def of(mixtures: Sequence[Mixture]) -> Frame:
        """The frame midway between the mixtures."""
        return frame_of(tuple(mixtures))

    def conditioning(self, mixture: Mixture) -> float:
        """κ = max_k (μ_k − c)ᵀ Σ_k⁻¹ (μ_k − c)."""
        offsets = mixture.means - self.centre
        factors = mixture.spread(mixture.factors)
        if factors.ndim == 2:
            return float(((offsets * factors) ** 2).sum(axis=1).max())
        whitened = np.einsum("kd,kde->ke", offsets, factors)
        return float((whitened**2).sum(axis=1).max())


@Remembered
def frame_of(mixtures: tuple[Mixture, ...]) -> Frame:
    centre = _average([mixture.mean for mixture in mixtures])
    deviations = _average([np.sqrt(mixture.variance) for mixture in mixtures])
    return Frame(centre, np.exp2(np.rint(np.log2(deviations))))


def _average(vectors: list[Array]) -> Array:
    """What np.mean gives, which takes several times as long for few numbers."""
    total: Array = np.add.reduce(vectors)
    return total / len(vectors)
