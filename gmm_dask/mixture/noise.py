"""Noise: a component of one density everywhere, beside the Gaussians (Banfield & Raftery 1993).

What is asked for, in plain values, and what a mixture holds of it. Imports no NumPy: command-line
help is made of the words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, log
from typing import TYPE_CHECKING

from gmm_dask.mixture.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

    from gmm_dask.mixture.arrays import Array, Indices

BOX = "box"
"""The word for noise in the box that the rows take up; a number is the inverse of a volume."""
START = 0.1
"""The weight that noise begins with."""
NOISE = -1
"""The label of rows that are most probably noise."""


@dataclass(frozen=True, eq=False)
class Noise:
    """Density 1/V everywhere, with a weight in the mixture; `box` (2, D) are the least and the
    greatest values of each feature, where V is that of a box."""

    weight: float
    log_density: float
    box: Array | None = None

    def weighing(self, weight: float) -> Noise:
        """The same with another weight."""
        return replace(self, weight=float(weight))

    @property
    def log_joint(self) -> float:
        """log w_0 / V, of every row."""
        return log(self.weight) + self.log_density

    def check(self, features: int) -> None:
        """Refuse a density that is none, or a box in another space."""
        if not -inf < self.log_density < inf:
            raise Refusal(f"noise must have a log-density that is finite, not {self.log_density}")
        if self.box is not None and self.box.shape != (2, features):
            raise Refusal(
                f"the box of noise in {features} features must have shape (2, {features}), "
                f"not {self.box.shape}"
            )

    def drawn(self, rows: int, random: Generator) -> Array:
        """Rows (N, D) from its box."""
        if self.box is None:
            raise Refusal(
                "noise that was given by its inverse volume has no place to be drawn from: ask for "
                f"noise={BOX!r}, or sample mixture.gaussians"
            )
        low, high = self.box
        return random.uniform(low, high, (rows, len(low)))

    def marginal(self, kept: Indices) -> Noise:
        """In these features alone, which only the noise of a box has."""
        if self.box is None:
            raise Refusal(
                "noise that was given by its inverse volume has none in fewer features: ask for "
                f"noise={BOX!r}, or take mixture.gaussians"
            )
        box = self.box[:, kept]
        return Noise(self.weight, log_density_of(box.tolist()), box)


def noise_text(noise: str | float | None) -> str | None:
    """Noise as text, of True and of numbers too."""
    if noise is None or noise is False:
        return None
    return BOX if noise is True else noise if isinstance(noise, str) else repr(float(noise))


def inverse_volume(text: str) -> float | None:
    """What was asked for; None is the box of the rows."""
    if text == BOX:
        return None
    try:
        density = float(text)
    except ValueError:
        density = 0.0
    if not 0 < density < inf:
        raise Refusal(
            f"noise must be {BOX}, or the inverse of its volume, a number above 0, not {text!r}"
        )
    return density


def asked(text: str, box: Array, names: Sequence[str]) -> Noise:
    """The noise that a fit begins with, for rows that take up this box (2, D)."""
    density = inverse_volume(text)
    if density is not None:
        return Noise(START, log(density))
    flat = [name for name, low, high in zip(names, *box.tolist(), strict=True) if low == high]
    if flat:
        raise Refusal(
            f"noise needs a volume, and {flat[0]} has one value only: leave it out, or give the "
            "inverse volume as noise"
        )
    return Noise(START, log_density_of(box.tolist()), box)


def log_density_of(box: Sequence[Sequence[float]]) -> float:
    """−log V of a box, whose volume itself may be no float64."""
    low, high = box
    return -sum(log(b - a) for a, b in zip(low, high, strict=True))
