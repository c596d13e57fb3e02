"""What an acceleration remembers between passes, and what the loop knows of accelerations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.parameters import Mixture


@dataclass(frozen=True, eq=False)
class Memory:
    """Everything that the next proposal depends on, besides the pass that it follows.

    here, there: mixtures that were evaluated and where their plain steps lead, as vectors (P,),
    the oldest first. length and expected_gain belong to the proposal being evaluated (0: there is
    none) and come from mean_log_likelihood, where a plain step gains about plain_gain; proposals
    are no longer than radius. stretch multiplies plain steps where they grow. Of the last so many
    refusals in a row, `wait` plain steps are left. saved: passes, so far and at least. careful:
    false in what began before accelerations kept to plain EM's basin, and goes on so.
    """

    here: tuple[Array, ...] = ()
    there: tuple[Array, ...] = ()
    mean_log_likelihood: float = 0.0
    length: float = 0.0
    expected_gain: float = 0.0
    radius: float = 0.5
    stretch: float = 1.0
    refusals: int = 0
    wait: int = 0
    plain_gain: float = 0.0
    saved: float = 0.0
    careful: bool = True


class Acceleration(Protocol):
    """A rule for extrapolating; pure: everything it remembers is in the memory it returns."""

    def propose(
        self, memory: Memory, here: Mixture, there: Mixture, mean_log_likelihood: float
    ) -> tuple[Memory, Mixture | None]:
        """After the pass at `here`, whose plain step leads `there`: the proposal to evaluate next,
        or None for the plain step itself."""

    def strays(self, memory: Memory, plain_gain: float) -> bool:
        """Whether its proposal, though higher, may lie in another basin; the plain step from there
        gains about so much."""

    def refused(
        self, memory: Memory, proposal: Mixture | None = None, there: Mixture | None = None
    ) -> Memory:
        """The memory after its proposal turned out lower than where it came from; the pass was not
        in vain where the proposal's own plain step is known."""
