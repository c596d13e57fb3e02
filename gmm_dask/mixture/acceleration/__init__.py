"""Fewer passes to the same optimum: what to evaluate instead of the plain EM step.

A pass at θ gives L(θ) and the plain step g(θ); an acceleration proposes where the next pass should
be. A proposal that lowers L is refused: that costs one pass, and the plain step follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gmm_dask.mixture.acceleration.anderson import anderson
from gmm_dask.mixture.acceleration.chart import expected_gain
from gmm_dask.mixture.acceleration.extrapolation import Extrapolation
from gmm_dask.mixture.acceleration.floor import lifted
from gmm_dask.mixture.acceleration.memory import Acceleration, Memory
from gmm_dask.mixture.acceleration.quasi_newton import quasi_newton
from gmm_dask.mixture.acceleration.squarem import squarem

__all__ = [
    "ACCELERATIONS",
    "Acceleration",
    "Memory",
    "acceleration_named",
    "expected_gain",
    "lifted",
]

ACCELERATIONS: Mapping[str, Acceleration] = MappingProxyType(
    {
        "auto": Extrapolation(quasi_newton, order=8),
        "squarem": Extrapolation(squarem, order=1, cycles=True),
        "anderson": Extrapolation(anderson, order=5),
    }
)


def acceleration_named(name: str | None) -> Acceleration | None:
    """The acceleration of this name; None is plain EM."""
    if name is None or name in ACCELERATIONS:
        return ACCELERATIONS[name] if name else None
    raise ValueError(
        f"unknown acceleration {name!r}: choose None or one of {', '.join(ACCELERATIONS)}"
    )
