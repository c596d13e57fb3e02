"""The only loop: EM as a generator of immutable states, one pass over the data for each.

It knows the data through `statistics_of` alone. A state holds everything needed to go on: what
comes after it does not depend on how it came about. In every candidate the statistics, and so the
log-likelihood, are those of the mixture beside them, not of its predecessor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan

from gmm_dask.mixture.acceleration import acceleration_named
from gmm_dask.mixture.acceleration.chart import expected_gain
from gmm_dask.mixture.acceleration.floor import lifted
from gmm_dask.mixture.acceleration.memory import Acceleration, Memory
from gmm_dask.mixture.kernels import Arithmetic, Kernel
from gmm_dask.mixture.kernels.choice import accurate, choose_kernels, require_float32
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.maximisation import Event, Maximised, maximise
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.stopping import CONVERGED, Evaluated, Stopping
from gmm_dask.mixture.sweep import StatisticsOf

ROUNDING = 1e-9
"""A fall of the mean log-likelihood by less than this (relative) is rounding."""


@dataclass(frozen=True)
class Settings:
    """How to iterate; not what to fit, nor to what."""

    stopping: Stopping = Stopping()
    regularisation: Regularisation = Regularisation()
    accelerate: str | None = None
    arithmetic: Arithmetic = "float64"


@dataclass(frozen=True)
class Record:
    """What one pass did for one candidate: what is reported, not what is carried."""

    iteration: int
    mean_log_likelihood: float
    change: float
    step: str
    kernel: Kernel
    components: int
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, eq=False)
class Candidate:
    """One mixture on its way up.

    `statistics` belong to `mixture`; `proposal` is what the next pass evaluates: the plain M-step
    of these statistics, or an extrapolation (`accelerated`), with `plain` kept to fall back on.
    `degenerate` is what that M-step told of components: only what is not there yet is new.
    """

    proposal: Mixture
    mixture: Mixture
    statistics: SufficientStatistics | None = None
    plain: Mixture | None = None
    accelerated: bool = False
    memory: Memory = Memory()
    iteration: int = -1
    degenerate: tuple[Event, ...] = ()
    record: Record | None = None
    reason: str | None = None

    @property
    def mean_log_likelihood(self) -> float:
        """Of `mixture`; NaN before the first pass."""
        return nan if self.statistics is None else self.statistics.mean_log_likelihood

    @property
    def converged(self) -> bool:
        """Whether a tolerance ended it."""
        return self.reason is not None and self.reason.startswith("converged")


@dataclass(frozen=True, eq=False)
class EMState:
    """All candidates after so many passes over the data."""

    candidates: tuple[Candidate, ...]
    passes: int = 0

    @property
    def finished(self) -> bool:
        """Whether every candidate has a reason to stop."""
        return all(candidate.reason for candidate in self.candidates)

    @property
    def iteration(self) -> int:
        """Of the candidates that went furthest; −1 before the first pass."""
        return max(candidate.iteration for candidate in self.candidates)

    @property
    def best(self) -> Candidate:
        """The candidate of the highest log-likelihood."""
        return max(
            self.candidates,
            key=lambda c: c.mean_log_likelihood if isfinite(c.mean_log_likelihood) else -1e308,
        )


def start(mixtures: Sequence[Mixture]) -> EMState:
    """The state before the first pass."""
    return EMState(tuple(Candidate(proposal=mixture, mixture=mixture) for mixture in mixtures))


def iterate(
    statistics_of: StatisticsOf,
    state: EMState,
    settings: Settings = Settings(),
    revise: Callable[[EMState], EMState] = lambda state: state,
) -> Iterator[EMState]:
    """States, one a pass, until every candidate has a reason to stop.

    `revise` has a say after each: it may give candidates a reason of its own.
    """
    while not state.finished:
        state = revise(advance(statistics_of, state, settings))
        yield state


def run(statistics_of: StatisticsOf, state: EMState, settings: Settings = Settings()) -> EMState:
    """The last of the states of `iterate`."""
    *_, last = (state, *iterate(statistics_of, state, settings))
    return last


def advance(statistics_of: StatisticsOf, state: EMState, settings: Settings) -> EMState:
    """One pass: evaluate every proposal, keep or refuse it, and propose the next."""
    active = [i for i, candidate in enumerate(state.candidates) if not candidate.reason]
    proposals = tuple(state.candidates[i].proposal for i in active)
    if settings.arithmetic == "float32" and not state.passes:
        require_float32(proposals)
    evaluated, passes = evaluate(statistics_of, proposals, settings)
    acceleration = acceleration_named(settings.accelerate)
    candidates = list(state.candidates)
    for i, found in zip(active, evaluated, strict=True):
        candidates[i] = judged(candidates[i], found, acceleration, settings)
    return EMState(tuple(candidates), state.passes + passes)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A proposal's own statistics, the M-step from them, and the kernel that found them."""

    statistics: SufficientStatistics
    maximised: Maximised
    kernel: Kernel


def evaluate(
    statistics_of: StatisticsOf, mixtures: tuple[Mixture, ...], settings: Settings
) -> tuple[list[Evaluation], int]:
    """E-step and M-step of every mixture, and the passes that it took.

    A kernel is chosen by its error bound for the mixtures that go in; where a component shrinks so
    much in this pass that the bound does not hold for what comes out, those are summed again with
    the centred kernel.
    """
    frame = Frame.of(mixtures)
    kernels = choose_kernels(mixtures, settings.arithmetic)
    # what degenerates is told by good statistics only, so the policy waits for them
    gentle = replace(settings.regularisation, degenerate="floor")
    found = [
        Evaluation(statistics, maximise(statistics, m.family, gentle), kernel)
        for m, statistics, kernel in zip(
            mixtures, statistics_of(mixtures, kernels), kernels, strict=True
        )
    ]
    again = [i for i, e in enumerate(found) if not accurate(frame, e.maximised.mixture, e.kernel)]
    if again:
        repeated = tuple(mixtures[i] for i in again)
        centred: list[Kernel] = ["centred" for _ in again]
        for i, statistics in zip(again, statistics_of(repeated, tuple(centred)), strict=True):
            maximised = maximise(statistics, mixtures[i].family, gentle)
            found[i] = Evaluation(statistics, maximised, "centred")
    if settings.regularisation != gentle:
        found = [_with_policy(e, m.family, settings) for m, e in zip(mixtures, found, strict=True)]
    return found, 2 if again else 1


def _with_policy(found: Evaluation, family: str, settings: Settings) -> Evaluation:
    if not found.maximised.events:
        return found
    return replace(found, maximised=maximise(found.statistics, family, settings.regularisation))


def judged(
    candidate: Candidate, found: Evaluation, acceleration: Acceleration | None, settings: Settings
) -> Candidate:
    """The candidate after its proposal was evaluated: moved there, or back on the plain step."""
    before, now = candidate.mean_log_likelihood, found.statistics.mean_log_likelihood
    iteration = candidate.iteration + 1
    if candidate.accelerated and acceleration is not None and not now >= before:
        refused = Record(
            iteration, before, 0.0, "refused", found.kernel, candidate.mixture.components
        )
        pair = () if found.maximised.events else (candidate.proposal, found.maximised.mixture)
        plain = candidate.plain or candidate.mixture
        lower = Evaluated(candidate.proposal, now, iteration)
        kept = Evaluated(candidate.mixture, before, iteration)
        return replace(
            candidate,
            proposal=plain,
            accelerated=False,
            memory=acceleration.refused(candidate.memory, *pair),
            iteration=iteration,
            record=refused,
            reason=reason_of_accelerated(settings.stopping, lower, kept, plain),
        )
    return _moved(candidate, found, acceleration, settings)


def _moved(
    candidate: Candidate, found: Evaluation, acceleration: Acceleration | None, settings: Settings
) -> Candidate:
    here, plain = candidate.proposal, found.maximised.mixture
    before, now = candidate.mean_log_likelihood, found.statistics.mean_log_likelihood
    iteration = candidate.iteration + 1
    previous = Evaluated(candidate.mixture, before, iteration - 1) if candidate.statistics else None
    told = (*found.maximised.events, *found.maximised.resting)
    new = tuple(e for e in told if _place(e) not in map(_place, candidate.degenerate))
    step = "accelerated" if candidate.accelerated else "plain" if previous else "start"
    record = Record(
        iteration,
        now,
        now - before,
        step,
        found.kernel,
        here.components,
        (*new, *fall(before, now)),
    )
    current = Evaluated(here, now, iteration)
    if candidate.accelerated:
        reason = reason_of_accelerated(settings.stopping, previous, current, plain)
    else:
        reason = settings.stopping.reason(previous, current)
    memory, proposal = Memory(), None
    repaired = found.maximised.events and settings.regularisation.degenerate != "floor"
    if acceleration is not None and isfinite(now) and not repaired:
        memory, proposal = acceleration.propose(candidate.memory, here, plain, now)
        if proposal is not None:
            proposal = lifted(proposal, found.statistics, settings.regularisation)
            memory = acceleration.refused(memory) if proposal is None else memory
    return Candidate(
        proposal=proposal or plain,
        mixture=here,
        statistics=found.statistics,
        plain=plain,
        accelerated=proposal is not None,
        memory=memory,
        iteration=iteration,
        degenerate=told,
        record=record,
        reason=reason,
    )


def reason_of_accelerated(
    stopping: Stopping, previous: Evaluated | None, current: Evaluated, plain: Mixture
) -> str | None:
    """Why to stop after an extrapolation: a small change means that it is done only where the plain
    step would change as little."""
    reason = stopping.reason(previous, current)
    if reason is None or not reason.startswith(CONVERGED):
        return reason
    if plain.means.shape == current.mixture.means.shape:
        gain = expected_gain(current.mixture, plain)
        after = replace(
            current, mixture=plain, mean_log_likelihood=current.mean_log_likelihood + gain
        )
        if (stopping.reason(current, after) or "").startswith(CONVERGED):
            return reason
    return stopping.reason(None, current)


def _place(event: Event) -> tuple[int | None, str]:
    return event.component, event.kind


def fall(before: float, now: float) -> tuple[Event, ...]:
    """The event of a log-likelihood that fell by more than rounding; plain EM has none, but for
    what reg_covar, a floor or a reseeded component takes away."""
    if isfinite(before) and now < before - ROUNDING * max(1.0, abs(before)):
        return (Event(None, "fall", f"mean log-likelihood fell by {before - now:.3g}"),)
    return ()
