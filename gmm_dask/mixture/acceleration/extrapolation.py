"""What all extrapolations share: history, when to start, how far to go, when to hold back.

Knows nothing of how a direction follows from the history; that is each algorithm's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

import numpy as np

from gmm_dask.mixture.acceleration.chart import Chart, as_vector
from gmm_dask.mixture.acceleration.memory import Memory
from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.parameters import Mixture

LARGEST_GAIN = 0.05
"""Nats per row: while plain steps gain more, they cost few passes and are far from linear."""
STEADY_GAIN = 1e-3
"""The same for what is to stay in plain EM's basin: which that is, is decided by then."""
STEADY = 0.4, 1.25
"""Of ‖r‖², what a plain step gains in the linear regime, a half to all of it, and some more."""
NEAR = 0.3
"""Secants further away than this say nothing of the curvature here."""
LARGEST_RADIUS = 2.0
LARGEST_DISPLACEMENT = 4.0
"""Of one component by itself, in standard deviations: a light one moves the total little."""
LARGEST_STRETCH = 64.0
LEAST_CURVATURE = 1e-10
CREDIT = 0.1
"""Passes that may be spent in vain, for each that plain EM takes to come nearer by a factor e."""


@dataclass(frozen=True, eq=False)
class Secant:
    """A step in the chart and by how much the residual g(θ) − θ fell along it."""

    step: Array
    drop: Array

    @property
    def curvature(self) -> float:
        """Of −L along the step: 1 where EM converges at once, 0 where it stands still."""
        squared = self.step @ self.step
        return float(self.step @ self.drop / squared) if squared > 0 else 0.0


Direction: TypeAlias = Callable[[Sequence[Secant], Array], Array]
"""The displacement to propose, from secants (the newest last) and the residual."""


@dataclass(frozen=True)
class Extrapolation:
    """Extrapolate from the last `order` secants, within a trust region.

    cycles: after each extrapolation comes a plain step, and the history starts anew. stays: it
    begins late, goes on only from plain steps that gain what they should, and goes back from where
    they gain more than before: another basin, perhaps.
    """

    direction: Direction
    order: int
    cycles: bool = False
    stays: bool = False

    def propose(
        self, memory: Memory, here: Mixture, there: Mixture, mean_log_likelihood: float
    ) -> tuple[Memory, Mixture | None]:
        """A proposal where the history supports one."""
        stays = self.stays and memory.careful
        ready = not stays or _steady(memory, mean_log_likelihood)
        memory = self._judged(memory, mean_log_likelihood)
        chart, vector = Chart(here), as_vector(there)
        residual = chart.coordinates(vector)
        gain = float(residual @ residual)
        memory = replace(memory, plain_gain=gain)
        if not 0 < gain <= (STEADY_GAIN if stays else LARGEST_GAIN):
            return replace(memory, here=(), there=()), None
        kept = max(0, len(memory.here) - self.order)
        memory = replace(
            memory,
            here=(*memory.here[kept:], as_vector(here)),
            there=(*memory.there[kept:], vector),
        )
        if memory.wait:
            return replace(memory, wait=memory.wait - 1), None
        return self._extrapolated(memory, chart, residual) if ready else (memory, None)

    def strays(self, memory: Memory, plain_gain: float) -> bool:
        """Near an optimum a good step leaves less to gain; away from a saddle, where plain steps
        grow as well, more."""
        careful = self.stays and memory.careful
        return careful and memory.stretch == 1.0 and plain_gain > memory.plain_gain

    def refused(
        self, memory: Memory, proposal: Mixture | None = None, there: Mixture | None = None
    ) -> Memory:
        """A smaller radius, and plain steps for a while if it happens again and again."""
        memory = replace(
            memory,
            length=0.0,
            expected_gain=0.0,
            radius=memory.length / 4,
            stretch=max(1.0, memory.stretch / 4),
            refusals=memory.refusals + 1,
            saved=memory.saved - 1,
            wait=2 ** min(memory.refusals, 4) - 1,
        )
        if self.cycles or proposal is None or there is None:
            return memory
        return replace(
            memory,
            here=(*memory.here[:-1], as_vector(proposal), memory.here[-1]),
            there=(*memory.there[:-1], as_vector(there), memory.there[-1]),
        )

    def _judged(self, memory: Memory, mean_log_likelihood: float) -> Memory:
        """The memory once its proposal, if there was one, was accepted: is the model any good?"""
        if memory.length:
            share = (mean_log_likelihood - memory.mean_log_likelihood) / memory.expected_gain
            radius, stretch = memory.radius, memory.stretch
            if share < 0.25:
                radius, stretch = memory.length / 2, max(1.0, stretch / 2)
            elif share > 0.5 and memory.length > 0.8 * radius:
                radius = min(2 * radius, LARGEST_RADIUS)
            saved = memory.saved + _saved(memory, mean_log_likelihood)
            memory = replace(memory, radius=radius, stretch=stretch, refusals=0, saved=saved)
            if self.cycles:
                memory = replace(memory, here=(), there=())
        return replace(
            memory, mean_log_likelihood=mean_log_likelihood, length=0.0, expected_gain=0.0
        )

    def _step(
        self, memory: Memory, chart: Chart, residual: Array
    ) -> tuple[Memory, Array | None, bool]:
        """Where to, if anywhere, and whether plain steps grow. By itself, so that secants, of which
        there may be eight times the mixture, are gone when the next mixture is made."""
        secants, growing = near_secants(chart, memory)
        if growing:  # away from a saddle plain steps grow: go on, further each time
            memory = replace(memory, stretch=min(2 * memory.stretch, LARGEST_STRETCH))
            return memory, memory.stretch * residual, growing
        if not secants or (self.stays and memory.careful and _in_debt(memory, secants)):
            return memory, None, growing
        memory = replace(memory, stretch=max(1.0, memory.stretch / 2))
        return memory, self.direction(secants, residual), growing

    def _extrapolated(
        self, memory: Memory, chart: Chart, residual: Array
    ) -> tuple[Memory, Mixture | None]:
        memory, step, growing = self._step(memory, chart, residual)
        if step is None:
            return memory, None
        slope = float(residual @ step)
        if not (slope > 0 and np.isfinite(step).all()):
            return replace(memory, here=memory.here[-1:], there=memory.there[-1:]), None
        plain, length = float(np.linalg.norm(residual)), float(np.linalg.norm(step))
        share = min(
            1.0,
            max(memory.radius, plain) / length,
            LARGEST_DISPLACEMENT / chart.longest_component(step),
        )
        proposal = chart.mixture(share * step)
        if proposal is None:
            return memory, None
        proposal.forget()
        # of a quadratic with its top at the step's end; along a growing one, half the slope
        expected = slope * share * (0.5 if growing else 1 - share / 2)
        return replace(memory, length=share * length, expected_gain=expected), proposal


def _steady(memory: Memory, mean_log_likelihood: float) -> bool:
    """Whether the last plain step gained about what the chart said; it does not close to saddles,
    nor where reg_covar leads plain EM down."""
    least, most = (share * memory.plain_gain for share in STEADY)
    return memory.length > 0 or least < mean_log_likelihood - memory.mean_log_likelihood < most


def _saved(memory: Memory, mean_log_likelihood: float) -> float:
    """Passes that an accepted proposal has saved, at least: plain steps gain less each time."""
    if not memory.plain_gain > 0:
        return 0.0
    return (mean_log_likelihood - memory.mean_log_likelihood) / memory.plain_gain - 1


def _in_debt(memory: Memory, secants: Sequence[Secant]) -> bool:
    """Whether more passes were spent in vain than will be saved, as slow as plain EM is here."""
    slowest = min((secant.curvature for secant in secants), default=1.0)
    return memory.saved < -CREDIT / slowest


def near_secants(chart: Chart, memory: Memory) -> tuple[list[Secant], bool]:
    """Secants that tell of the curvature here, and whether plain steps grow along the newest."""
    near, curvature = list[Secant](), 1.0
    if len(memory.here) < 2:
        return near, False
    before: tuple[Array, Array, float] | None = None
    steps = zip(memory.here, memory.there, strict=True)
    coordinates = chart.each(chain.from_iterable(steps))
    for point, end in zip(coordinates, coordinates, strict=True):
        residual = end - point
        distance = float(np.linalg.norm(point))
        if before is not None:
            secant = Secant(point - before[0], before[1] - residual)
            curvature = secant.curvature
            if curvature > LEAST_CURVATURE and max(before[2], distance) < NEAR:
                near.append(secant)
        before = point, residual, distance
    return near, curvature <= 0
