"""Which kernel a pass may use: chosen by its error bound before the pass, checked after it.

The quadratic kernel expands (x − μ)ᵀ Σ⁻¹ (x − μ) about a centre c; what cancels there is
κ = max_k (μ_k − c)ᵀ Σ_k⁻¹ (μ_k − c), and the relative error of log-likelihood and covariances was
measured to be about ε κ (tests/benchmarks/accuracy). The centred kernel has no such error. The
fused kernel is the quadratic one's arithmetic in compiled loops, where numba is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.compiling import compiles
from gmm_dask.mixture.parameters import Mixture

Kernel: TypeAlias = Literal["quadratic", "quadratic-float32", "fused", "centred"]
Arithmetic: TypeAlias = Literal["float64", "float32"]

LARGEST_ERROR = 1e-11
LARGEST_ERROR_FLOAT32 = 1e-4
CENTRED_FROM_FEATURES = 64
"""From here on the centred kernel is the faster one as well, where components are apart; where all
overlap it is at 64 features still 1.2 times slower (tests/benchmarks/sweep). Diagonal families have
so few quadratic features that theirs is always the faster."""


class PrecisionError(ValueError):
    """float32 arithmetic was asked for where its error bound is too large."""


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


@lru_cache(maxsize=8)
def frame_of(mixtures: tuple[Mixture, ...]) -> Frame:
    """Remembered: every block of a pass asks for the same one."""
    centre: Array = np.mean([mixture.mean for mixture in mixtures], axis=0)
    deviations = np.mean([np.sqrt(mixture.variance) for mixture in mixtures], axis=0)
    return Frame(centre, np.exp2(np.round(np.log2(deviations))))


def error_bound(frame: Frame, mixture: Mixture, arithmetic: Arithmetic = "float64") -> float:
    """The relative error that the quadratic kernel may make in this frame: ε κ."""
    return float(np.finfo(arithmetic).eps) * frame.conditioning(mixture)


def choose_kernels(
    mixtures: Sequence[Mixture], arithmetic: Arithmetic = "float64"
) -> tuple[Kernel, ...]:
    """The fastest kernel whose error bound is good enough, for each mixture of a pass.

    Where float32 is not good enough a float64 kernel takes over.
    """
    frame = Frame.of(mixtures)
    return tuple(_choose(frame, mixture, arithmetic) for mixture in mixtures)


def _choose(frame: Frame, mixture: Mixture, arithmetic: Arithmetic) -> Kernel:
    if arithmetic == "float32" and accurate(frame, mixture, "quadratic-float32"):
        return "quadratic-float32"
    few = mixture.features < CENTRED_FROM_FEATURES or mixture.kind.layout == "squares"
    if few and accurate(frame, mixture, "quadratic"):
        return "fused" if compiles() else "quadratic"
    return "centred"


def accurate(frame: Frame, mixture: Mixture, kernel: Kernel) -> bool:
    """Whether this kernel's error bound is good enough for this mixture."""
    if kernel == "centred":
        return True
    if kernel in ("quadratic", "fused"):
        return error_bound(frame, mixture) <= LARGEST_ERROR
    return error_bound(frame, mixture, "float32") <= LARGEST_ERROR_FLOAT32


def require_float32(mixtures: Sequence[Mixture]) -> None:
    """Refuse float32 arithmetic where its error bound is too large for one of the mixtures."""
    frame = Frame.of(mixtures)
    for i, mixture in enumerate(mixtures):
        if not accurate(frame, mixture, "quadratic-float32"):
            bound = error_bound(frame, mixture, "float32")
            raise PrecisionError(
                f"float32 arithmetic could be wrong by {bound:.0e} (relative) for mixture {i}, "
                f"more than {LARGEST_ERROR_FLOAT32:.0e}: its components are too narrow for the "
                "distance between them; use float64"
            )
