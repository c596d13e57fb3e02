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
from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.evaluation import Evaluation, evaluate, objective
from gmm_dask.mixture.kernels import Arithmetic, Kernel
from gmm_dask.mixture.kernels.choice import require_float32
from gmm_dask.mixture.maximisation import Event
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.prior import VariationalPrior
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.rounding import steps_of
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.stopping import CONVERGED, Evaluated, Stopping
from gmm_dask.mixture.sweep import StatisticsOf

ROUNDING = 1e-9
"""A fall of the mean log-likelihood by less than this (relative) is rounding."""


@dataclass(frozen=True)
class EMSettings:
    """How to iterate; not what to fit, nor to what."""

    stopping: Stopping = Stopping()
    regularisation: Regularisation = Regularisation()
    accelerate: str | None = None
    arithmetic: Arithmetic = "float64"

    def for_rows(self, rows: Array, weight: float) -> EMSettings:
        """The same, where these rows (n, D) are some of the data and tell how they are rounded."""
        regularisation = replace(self.regularisation, steps=steps_of(rows))
        return replace(self, regularisation=regularisation).for_weight(weight)

    def for_weight(self, weight: float) -> EMSettings:
        """The same, where all rows together have this weight.

        A variational fit's tolerance is of the whole bound, which tells how probable numbers of
        components are, as far as rounding lets it be seen.
        """
        if not isinstance(self.regularisation.prior, VariationalPrior):
            return self
        stopping, tol = self.stopping, self.stopping.tol
        if tol is not None:
            stopping = replace(stopping, tol=max(tol / weight, ROUNDING))
        return replace(
            self, stopping=stopping, regularisation=replace(self.regularisation, weight=weight)
        )


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
    log_prior: float = 0.0

    @property
    def mean_log_likelihood(self) -> float:
        """Of `mixture`; NaN before the first pass."""
        return nan if self.statistics is None else self.statistics.mean_log_likelihood

    @property
    def objective(self) -> float:
        """What is raised: the mean log-likelihood, with the prior's part where there is one."""
        return nan if self.statistics is None else objective(self.statistics, self.log_prior)

    @property
    def standing(self) -> tuple[bool, float]:
        """What is greater wins: a likelihood that a degenerate component raised beats no other."""
        height = self.objective
        return not self.degenerate, height if isfinite(height) else -1e308

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
        """The candidate of the highest log-likelihood, of those without a degenerate component
        where there is one."""
        return max(self.candidates, key=lambda candidate: candidate.standing)


def start(mixtures: Sequence[Mixture]) -> EMState:
    """The state before the first pass."""
    return EMState(tuple(Candidate(proposal=mixture, mixture=mixture) for mixture in mixtures))


def iterate(
    statistics_of: StatisticsOf,
    state: EMState,
    settings: EMSettings = EMSettings(),
    revise: Callable[[EMState], EMState] = lambda state: state,
) -> Iterator[EMState]:
    """States, one a pass, until every candidate has a reason to stop.

    `revise` has a say after each: it may give candidates a reason of its own.
    """
    while not state.finished:
        state = revise(advance(statistics_of, state, settings))
        yield state


def run(
    statistics_of: StatisticsOf, state: EMState, settings: EMSettings = EMSettings()
) -> EMState:
    """The last of the states of `iterate`."""
    *_, last = (state, *iterate(statistics_of, state, settings))
    return last


def advance(statistics_of: StatisticsOf, state: EMState, settings: EMSettings) -> EMState:
    """One pass: evaluate every proposal, keep or refuse it, and propose the next."""
    active = [i for i, candidate in enumerate(state.candidates) if not candidate.reason]
    proposals = tuple(state.candidates[i].proposal for i in active)
    if settings.arithmetic == "float32" and not state.passes:
        require_float32(proposals)
    evaluations, passes = evaluate(
        statistics_of, proposals, settings.regularisation, settings.arithmetic
    )
    acceleration = acceleration_named(settings.accelerate)
    candidates = list(state.candidates)
    for i, evaluation in zip(active, evaluations, strict=True):
        candidates[i] = judged(candidates[i], evaluation, acceleration, settings)
    return EMState(tuple(candidates), state.passes + passes)


def judged(
    candidate: Candidate,
    evaluation: Evaluation,
    acceleration: Acceleration | None,
    settings: EMSettings,
) -> Candidate:
    """The candidate after its proposal was evaluated: moved there, or back on the plain step."""
    higher = evaluation.objective >= candidate.objective
    if not candidate.accelerated or acceleration is None:
        return _moved(candidate, evaluation, acceleration, settings)
    if higher and not _strays(candidate, evaluation, acceleration):
        return _moved(candidate, evaluation, acceleration, settings)
    return _refused(candidate, evaluation, acceleration, settings.stopping)


def _strays(candidate: Candidate, evaluation: Evaluation, acceleration: Acceleration) -> bool:
    """Whether the extrapolation says so; it cannot where components have just degenerated."""
    maximised = evaluation.maximised
    if maximised.events:
        return False
    gain = expected_gain(candidate.proposal, maximised.mixture)
    return acceleration.strays(candidate.memory, gain)


def _refused(
    candidate: Candidate, evaluation: Evaluation, acceleration: Acceleration, stopping: Stopping
) -> Candidate:
    before, now = candidate.objective, evaluation.objective
    iteration, components = candidate.iteration + 1, candidate.mixture.components
    maximised, plain = evaluation.maximised, candidate.plain or candidate.mixture
    pair = () if maximised.events else (candidate.proposal, maximised.mixture)
    lower = Evaluated(candidate.proposal, now, iteration)
    kept = Evaluated(candidate.mixture, before, iteration)
    return replace(
        candidate,
        proposal=plain,
        accelerated=False,
        memory=acceleration.refused(candidate.memory, *pair),
        iteration=iteration,
        record=Record(
            iteration, candidate.mean_log_likelihood, 0.0, "refused", evaluation.kernel, components
        ),
        reason=reason_of_accelerated(stopping, lower, kept, plain),
    )


def _moved(
    candidate: Candidate,
    evaluation: Evaluation,
    acceleration: Acceleration | None,
    settings: EMSettings,
) -> Candidate:
    statistics, maximised = evaluation.statistics, evaluation.maximised
    here, plain = candidate.proposal, maximised.mixture
    before, now = candidate.objective, evaluation.objective
    iteration = candidate.iteration + 1
    previous = Evaluated(candidate.mixture, before, iteration - 1) if candidate.statistics else None
    degenerate = (*maximised.events, *maximised.resting)
    new = tuple(e for e in degenerate if _place(e) not in map(_place, candidate.degenerate))
    step = "accelerated" if candidate.accelerated else "plain" if previous else "start"
    events = (*new, *fall(before, now))
    record = Record(
        iteration,
        statistics.mean_log_likelihood,
        now - before,
        step,
        evaluation.kernel,
        here.components,
        events,
    )
    current = Evaluated(here, now, iteration)
    if candidate.accelerated:
        reason = reason_of_accelerated(settings.stopping, previous, current, plain)
    else:
        reason = settings.stopping.reason(previous, current)
    memory, proposal = Memory(), None
    if reason is None:
        memory, proposal = _proposed(candidate.memory, here, evaluation, acceleration, settings)
    return Candidate(
        proposal=proposal or plain,
        mixture=here,
        statistics=statistics,
        plain=plain,
        accelerated=proposal is not None,
        memory=memory,
        iteration=iteration,
        degenerate=degenerate,
        record=record,
        reason=reason,
        log_prior=evaluation.log_prior,
    )


def _proposed(
    memory: Memory,
    here: Mixture,
    evaluation: Evaluation,
    acceleration: Acceleration | None,
    settings: EMSettings,
) -> tuple[Memory, Mixture | None]:
    """An extrapolation that is worth a pass, if there is one; none from where a component was
    repaired, or the likelihood is not finite."""
    statistics, maximised = evaluation.statistics, evaluation.maximised
    now, regularisation = evaluation.objective, settings.regularisation
    repaired = maximised.events and regularisation.degenerate != "floor"
    if acceleration is None or not isfinite(now) or repaired:
        return Memory(careful=memory.careful), None
    memory, proposal = acceleration.propose(memory, here, maximised.mixture, now)
    if proposal is not None:
        proposal = lifted(proposal, statistics, regularisation)
        memory = acceleration.refused(memory) if proposal is None else memory
    return memory, proposal


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
