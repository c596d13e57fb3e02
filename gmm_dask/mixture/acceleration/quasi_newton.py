"""A quasi-Newton step: the extrapolation that `auto` uses."""

from __future__ import annotations

from collections.abc import Sequence

from gmm_dask.mixture.acceleration.extrapolation import Extrapolation, Secant
from gmm_dask.mixture.arrays import Array


def quasi_newton(secants: Sequence[Secant], residual: Array) -> Array:
    """H r by the two-loop recursion of L-BFGS (Liu & Nocedal 1989) from H₀ = 1.

    The residual r = g(θ) − θ is the gradient of L in the metric of the complete data, where −L has
    a symmetric Hessian with eigenvalues in (0, 1]: the fraction of the information that is not
    missing. So EM itself is gradient ascent with H₀ = 1 (Jamshidian & Jennrich 1997), and only
    its slow directions need to be learnt.
    """
    direction, shares = residual, []
    for secant in reversed(secants):
        share = (secant.step @ direction) / (secant.step @ secant.drop)
        shares.append(share)
        direction = direction - share * secant.drop
    for secant, share in zip(secants, reversed(shares), strict=True):
        rest = share - (secant.drop @ direction) / (secant.step @ secant.drop)
        direction = direction + rest * secant.step
    return direction


AUTO = Extrapolation(quasi_newton, order=8, stays=True)
