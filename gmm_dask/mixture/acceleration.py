"""Fewer passes to the same optimum: what to evaluate instead of the plain EM step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.parameters import Mixture


@dataclass(frozen=True, eq=False)
class Memory:
    """What an acceleration remembers between passes: arrays and numbers, nothing else."""

    here: tuple[Array, ...] = ()
    there: tuple[Array, ...] = ()
    refusals: int = 0


class Acceleration(Protocol):
    """A rule for extrapolating; pure: everything it remembers is in the memory it returns."""

    def propose(
        self, memory: Memory, here: Mixture, there: Mixture, mean_log_likelihood: float
    ) -> tuple[Memory, Mixture | None]:
        """After the pass at `here`, whose plain step leads `there`: the proposal to evaluate next,
        or None for the plain step itself."""

    def refused(self, memory: Memory) -> Memory:
        """The memory after its last proposal turned out lower than where it came from."""


def acceleration_named(name: str | None) -> Acceleration | None:
    """The acceleration of this name; None is plain EM."""
    if name is None:
        return None
    raise ValueError(f"unknown acceleration {name!r}")
