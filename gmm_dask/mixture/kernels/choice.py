"""Which kernel a pass may use: chosen by its error bound before the pass, checked after it.

The quadratic kernel expands (x − μ)ᵀ Σ⁻¹ (x − μ) about a centre c; what cancels there is
κ = max_k (μ_k − c)ᵀ Σ_k⁻¹ (μ_k − c), and the relative error of log-likelihood and covariances was
measured to be about ε κ (tests/benchmarks/accuracy). The centred kernel has no such error. The
fused kernel is the quadratic one's arithmetic in compiled loops, where numba is installed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gmm_dask.mixture.compilation import compiles
from gmm_dask.mixture.kernels import ARITHMETICS, Arithmetic, Kernel
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.kernels.look import components_left
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal

EPSILON = {name: float(np.finfo(name).eps) for name in ARITHMETICS}
LARGEST_ERROR = 1e-11
LARGEST_ERROR_FLOAT32 = 1e-4
FEW_FROM_FEATURES, FEATURES_EACH = 40, 24
"""Beside the fused kernel the centred one is faster as well from so many features on, where there
are so many to a component: products by one or two components are thin."""
CENTRED_FROM_FEATURES, COMPONENTS_LEFT, ALWAYS_CENTRED_FROM = 56, 5, 80
"""Beside the quadratic kernel it is from so many features on where a first look leaves no more
components than these to a row, up to three times; and where all overlap from 80 on, where quadratic
features fall out of the caches."""


class PrecisionError(Refusal):
    """float32 arithmetic was asked for where its error bound is too large."""


def error_bound(frame: Frame, mixture: Mixture, arithmetic: Arithmetic = "float64") -> float:
    """The relative error that the quadratic kernel may make in this frame: ε κ."""
    return EPSILON[arithmetic] * frame.conditioning(mixture)


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
    expanding: Kernel = "fused" if compiles() else "quadratic"
    if faster_centred(mixture, expanding) or not accurate(frame, mixture, expanding):
        return "centred"
    return expanding


def faster_centred(mixture: Mixture, other: Kernel) -> bool:
    """Whether the centred kernel is faster than the other as well; never for diagonal families,
    which have few quadratic features."""
    features = mixture.features
    if mixture.diagonal:
        return False
    if other == "fused":
        return features >= max(FEW_FROM_FEATURES, FEATURES_EACH * mixture.components)
    if features < CENTRED_FROM_FEATURES:
        return False
    return features >= ALWAYS_CENTRED_FROM or components_left(mixture) <= COMPONENTS_LEFT


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
