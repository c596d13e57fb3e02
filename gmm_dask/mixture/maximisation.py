"""The M-step: from sufficient statistics alone to the next mixture, never degenerate.

π_k = n_k / n (the Lagrange multiplier of Σ π_k = 1 is n), μ_k = m_k, Σ_k as the family has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gmm_dask.mixture.arrays import Array, Indices, fixed
from gmm_dask.mixture.belief import belief_of
from gmm_dask.mixture.covariance import family_named
from gmm_dask.mixture.covariance.family import Family
from gmm_dask.mixture.covariance.positive import thinner_matrices
from gmm_dask.mixture.noise import Noise
from gmm_dask.mixture.parameters import SMALLEST_WEIGHT, Mixture, shared_out
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.regularisation import DegeneratePolicy, Regularisation
from gmm_dask.mixture.statistics import SufficientStatistics

DEGENERATE = ("starved", "collapsed")
"""Kinds of events at which the policy of degenerate components acts."""
RESTS = "rests on reg_covar"
"""The kind of event that tells of a variance which is regularisation rather than data."""
WITHIN = "lies within the rounding"
"""The kind of event that tells of a component for which the data are too coarse."""
NOTICEABLE = 0.01
"""A share of a feature's variance from which reg_covar shows in what is found."""


def too_large(reg_covar: float, names: Sequence[str], variances: Array) -> str:
    """A sentence where reg_covar is more than a hundredth of the variance of a feature, else
    nothing; constant features have none, and without reg_covar no density."""
    noticeable = np.flatnonzero((variances > 0) & (reg_covar > NOTICEABLE * variances))
    if not len(noticeable):
        return ""
    worst = int(noticeable[variances[noticeable].argmin()])
    share = reg_covar / float(variances[worst])
    much = f"{share:.0%} of" if share < 2 else f"{share:,.0f} times"
    others = (
        f" (and more than {NOTICEABLE:.0%} of {len(noticeable) - 1} more)"
        if len(noticeable) > 1
        else ""
    )
    return (
        f"reg_covar, {reg_covar:g}, is {much} the variance of {names[worst]}{others}, whose "
        f"standard deviation is {np.sqrt(variances[worst]):.3g}: it is added to what is found"
    )


@dataclass(frozen=True)
class Event:
    """Something that happened to a component (or to the whole fit: component None)."""

    component: int | None
    kind: str
    reason: str


class DegenerateComponentError(ArithmeticError, ValueError):
    """A component lost its rows or its extent, and the policy is to stop then."""


@dataclass(frozen=True, eq=False)
class Maximised:
    """The next mixture, which components were degenerate on the way to it, and which are sound
    only by reg_covar, or not by their data: that is told, and nothing is done about it."""

    mixture: Mixture
    events: tuple[Event, ...]
    resting: tuple[Event, ...] = ()


def maximise(
    statistics: SufficientStatistics,
    family: str,
    regularisation: Regularisation = Regularisation(),
    previous: Mixture | None = None,
) -> Maximised:
    """The mixture of this family that maximises Q for these statistics, kept from degenerating;
    where there is no closed form, that raises Q above what it is at the previous one."""
    kind = family_named(family)
    n = statistics.all_counts.sum()
    if not n > 0:
        raise Refusal("there is no row with a weight above 0: nothing to fit a mixture to")
    counts = np.maximum(statistics.counts, SMALLEST_WEIGHT * n)
    seen = replace(statistics, counts=counts)
    belief = belief_of(regularisation)
    believed, variance = belief.added(seen, kind, regularisation.reg_covar)
    floored = kind.regularised(
        believed.counts,
        believed.scatter,
        variance,
        smallest_variances(statistics, regularisation),
        None if previous is None else previous.covariances,
    )
    covariances = fixed(floored.covariances)
    weights, noise = shared_out(counts, _noise_beside(statistics, previous, SMALLEST_WEIGHT * n))
    mixture = Mixture(weights, believed.means, covariances, family, noise)
    few = starved(statistics, kind) if belief.only_rows else ()
    events = (*few, *collapsed(floored.components))
    resting = (
        *resting_on(regularisation.reg_covar, mixture),
        *within_rounding(regularisation.steps, mixture),
    )
    if events and regularisation.degenerate != "floor":
        mixture = _without(mixture, events, regularisation.degenerate)
    return Maximised(mixture, events, resting)


def _noise_beside(
    statistics: SufficientStatistics, previous: Mixture | None, least: float
) -> Noise | None:
    """The noise of the mixture before, which weighs what is its own now."""
    if previous is None or previous.noise is None:
        return None
    count = 0.0 if statistics.noise is None else float(statistics.noise.counts[0])
    return previous.noise.weighing(max(count, least))


def smallest_variances(statistics: SufficientStatistics, regularisation: Regularisation) -> Array:
    """The floor of the variances, (D,): a share of the data's own, and never below what float64
    can tell apart at the data's distance from the origin."""
    resolution = (np.finfo(np.float64).eps * statistics.mean()) ** 2
    floor = np.maximum(regularisation.relative_floor * statistics.variance(), resolution)
    return np.where(floor > 0, floor, 1e-250)


def starved(statistics: SufficientStatistics, kind: Family) -> Iterable[Event]:
    """Components with fewer rows than their covariance needs; weights count by their mean."""
    rows = statistics.counts * (statistics.rows / statistics.weight)
    needed = kind.minimum_count(statistics.means.shape[1])
    for k in np.flatnonzero(rows < needed).tolist():
        yield Event(k, "starved", f"{rows[k]:.3g} rows, a {kind.name} covariance needs {needed}")


def collapsed(components: Iterable[int]) -> Iterable[Event]:
    """Components whose covariance met the floor."""
    for k in components:
        yield Event(k, "collapsed", "its covariance met the floor")


def resting_on(reg_covar: float, mixture: Mixture) -> tuple[Event, ...]:
    """Components of whose variance in some direction reg_covar is more than half, in a mixture that
    it was added to: λ_min(S_k / n_k) < reg_covar. A covariance that all share is no component's."""
    thin = np.flatnonzero(mixture.kind.thinner(mixture.factors, 2 * reg_covar)).tolist()
    return _told(RESTS, mixture, thin, f"more than half reg_covar, which is {reg_covar:g}")


def within_rounding(steps: tuple[float, ...], mixture: Mixture) -> tuple[Event, ...]:
    """Components that have, in some direction, less than half the variance h²/12 that rounding to
    these steps h gives to anything (Sheppard 1898)."""
    if not steps:
        return ()
    deviations = np.sqrt(np.square(steps) / 12)
    factors = mixture.spread(mixture.factors)[: 1 if mixture.kind.shared else None]
    if factors.ndim == 2:
        thin = np.flatnonzero((factors * deviations).max(axis=1) ** 2 > 2).tolist()
    else:
        thin = np.flatnonzero(thinner_matrices(deviations[:, None] * factors, 0.5)).tolist()
    return _told(WITHIN, mixture, thin, "less than half of what rounding the data gives to any")


def _told(kind: str, mixture: Mixture, thin: Iterable[int], what: str) -> tuple[Event, ...]:
    reason = f"smallest variance is {what}"
    if mixture.kind.shared:
        return tuple(Event(None, kind, f"the shared covariance's {reason}") for _ in thin)
    return tuple(Event(k, kind, f"its {reason}") for k in thin)


def _without(mixture: Mixture, events: tuple[Event, ...], policy: DegeneratePolicy) -> Mixture:
    if policy == "error":
        first = events[0]
        raise DegenerateComponentError(
            f"component {first.component} is {first.kind}: {first.reason}; use fewer components, a "
            "larger reg_covar, or degenerate='floor'"
        )
    degenerate = {event.component for event in events}
    sound = np.array([k for k in range(mixture.components) if k not in degenerate], dtype=np.intp)
    if not len(sound):
        return mixture
    if policy == "drop":
        return mixture.take(sound)
    for k in sorted(k for k in degenerate if k is not None):
        mixture = split_heaviest(mixture, into=k, among=sound)
    return mixture


def split_heaviest(mixture: Mixture, into: int, among: np.ndarray) -> Mixture:
    """Give component `into` half of the heaviest of the others, apart along its longest axis."""
    heavy = int(among[np.argmax(mixture.weights[among])])
    sources = np.arange(mixture.components)
    sources[into] = heavy
    return halved(mixture, sources, heavy, into)


def halved(mixture: Mixture, sources: Indices, one: int, other: int) -> Mixture:
    """The mixture of components `sources`, of which these two are halves of `one`, a standard
    deviation apart along its longest axis."""
    offset = longest_axis(mixture, one) / 2
    weights, means = mixture.weights[sources], mixture.means[sources]
    weights[[one, other]] = mixture.weights[one] / 2
    weights, noise = shared_out(weights, mixture.noise)
    means[other] = mixture.means[one] - offset
    means[one] = mixture.means[one] + offset
    covariances = mixture.kind.take(mixture.covariances, sources)
    return Mixture(weights, means, covariances, mixture.family, noise)


def longest_axis(mixture: Mixture, component: int) -> Array:
    """The principal axis of a component, one standard deviation long, (D,)."""
    covariance = mixture.spread(mixture.covariances)[component]
    if covariance.ndim == 1:
        axis = np.zeros(mixture.features)
        axis[covariance.argmax()] = np.sqrt(covariance.max())
        return axis
    values, vectors = np.linalg.eigh(covariance)
    axis = vectors[:, -1] * np.sqrt(values[-1])
    return axis * np.sign(axis[np.abs(axis).argmax()])
