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

Another optimum than plain EM's is where an early or a long proposal leads, though it is higher.
From the same starts (tests/benchmarks/basins has the 452 fits of its seed 0; tol = 1e-8):

    quasi-Newton begins at a gain of               lower   higher   passes (plain EM: 101,434)
    0.05 nats per row                                 16       27   14,507
    0.001                                              7       17   16,393
    0.0001                                             3       12   20,868
    0.001, back where plain steps gain more            2        5   24,443
    the same, from steady plain steps only (auto)      2        5   24,534

So `auto` refuses a proposal whose own plain step gains more than that of where it came from, except
away from saddles, where plain steps grow too. Of what was refused on the way to another optimum,
nearly all had this sign, and a quarter of what was good. A radius of 0.5 instead of 2 changed
nothing.

The last two took more than one pass more than plain EM in 11 fits, by up to 53, and in 5, by up to
4: where reg_covar leads plain EM down, or close to saddles, plain steps gain other than the chart
says and most proposals are refused, so that none is made there. Where refusals have cost more than
proposals saved `auto` goes on plainly, unless plain EM is so slow here that they will be paid for.
What was no better (of the 364 fits of at most 200 plain passes, which these were tried on): to wait
longer after refusals (8 fits of more passes), to begin at 0.0003 (5), a
tenth of the credit until plain steps gain less than 0.00001 (3, but 3 lower and 4 higher), and to
refuse nothing that is higher from there on (3 by up to 6, but 4 lower, 13 higher, 21,500 passes).

At a tolerance of 1e-3 or more a fit ends before `auto` begins; `squarem` and `anderson` begin at
0.05 still.
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
