"""Fewer passes to the same optimum: what to evaluate instead of the plain EM step.

A pass at θ gives L(θ) and the plain step g(θ); an acceleration proposes where the next pass should
be. A proposal that lowers L is refused: that costs one pass, and the plain step follows.

What was tried, on 60 random mixtures (all families, starts and separations, tol = 1e-8, seeds 5000
up; tests/benchmarks/passes has the problems), in passes where plain EM takes 25,769:

    coordinates                          quasi-Newton   Anderson   squared
    log-Cholesky, whitened (kept)               1,805      2,438     9,342
    matrix logarithm, whitened                  1,796      2,459     9,372
    w, μ, Σ themselves, whitened                1,840      2,574     9,655
    w, μ, Σ themselves                         10,472      6,172    12,435

So the metric matters, and the chart hardly; the kept one always yields a mixture and needs no
eigenvectors. Dropped on 100 others: symmetric rank one instead of L-BFGS (3% more passes, several
times as many refused), orders 5 and 15 (+8%, −1%), no trust region and no limit on the gain (+28%,
and up to 1.5 times the passes of plain EM on easy mixtures: one must not extrapolate while a plain
step still gains 0.05 per row), plain steps of length one away from saddles (+17%).

Another optimum than plain EM's: 5 of the 60 with quasi-Newton (3 lower, 2 higher), 2 (lower) with
either other.

A coarse tolerance ends plain EM on plateaus that an acceleration is still leaving: at 1e-3 it
took more than 1.1 times the passes on 6 of 100 mixtures (11% fewer in all), on each of them to a
higher likelihood, and past plain EM's no later than plain EM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.registry import Registry

if TYPE_CHECKING:
    from gmm_dask.mixture.acceleration.memory import Acceleration

ACCELERATIONS: Registry[Acceleration] = Registry(
    "acceleration",
    {
        "auto": "gmm_dask.mixture.acceleration.quasi_newton:AUTO",
        "squarem": "gmm_dask.mixture.acceleration.squarem:SQUAREM",
        "anderson": "gmm_dask.mixture.acceleration.anderson:ANDERSON",
    },
)


def acceleration_names() -> tuple[str, ...]:
    """All that can be asked for; None is plain EM."""
    return tuple(ACCELERATIONS)


def acceleration_named(name: str | None) -> Acceleration | None:
    """The acceleration of this name; None is plain EM."""
    if name is None or name in ACCELERATIONS:
        return ACCELERATIONS[name] if name else None
    raise Refusal(
        f"unknown acceleration {name!r}: choose None or one of {', '.join(ACCELERATIONS)}"
    )
