"""E-step and M-step of many mixtures in one pass, with kernels whose errors are small enough."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gmm_dask.mixture.belief import belief_of
from gmm_dask.mixture.kernels import Arithmetic, Kernel
from gmm_dask.mixture.kernels.choice import accurate, choose_kernels
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.maximisation import Maximised, maximise
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.sweep import StatisticsOf


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A proposal's own statistics, the M-step from them, and the kernel that found them."""

    statistics: SufficientStatistics
    maximised: Maximised
    kernel: Kernel
    log_prior: float = 0.0
    """What is raised beside the log-likelihood: the prior's log-density at the proposal, but for a
    constant; of a variational fit, what makes the evidence's bound of it."""

    @property
    def objective(self) -> float:
        """What EM raises: the mean log-likelihood, with the prior's part where there is one."""
        return objective(self.statistics, self.log_prior)


def objective(statistics: SufficientStatistics, log_prior: float) -> float:
    """The penalised log-likelihood a row of weight; NaN where there is none."""
    weight = statistics.weight
    return (statistics.log_likelihood + log_prior) / weight if weight else float("nan")


def evaluate(
    statistics_of: StatisticsOf,
    mixtures: tuple[Mixture, ...],
    regularisation: Regularisation = Regularisation(),
    arithmetic: Arithmetic = "float64",
) -> tuple[list[Evaluation], int]:
    """E-step and M-step of every mixture, and the passes that it took.

    A kernel is chosen by its error bound for the mixtures that go in; where a component shrinks so
    much in this pass that the bound does not hold for what comes out, those are summed again with
    the centred kernel.
    """
    frame, kernels = Frame.of(mixtures), choose_kernels(mixtures, arithmetic)
    # what degenerates is told by good statistics only, so the policy waits for them
    gentle = replace(regularisation, degenerate="floor")
    evaluations = _evaluated(statistics_of, mixtures, kernels, gentle)
    again = [
        i
        for i, one in enumerate(evaluations)
        if not accurate(frame, one.maximised.mixture, one.kernel)
    ]
    if again:
        repeated, centred = tuple(mixtures[i] for i in again), tuple(_CENTRED for _ in again)
        summed = _evaluated(statistics_of, repeated, centred, gentle)
        for i, evaluation in zip(again, summed, strict=True):
            evaluations[i] = evaluation
    if regularisation != gentle:
        evaluations = [
            _with_policy(one, mixture, regularisation)
            for mixture, one in zip(mixtures, evaluations, strict=True)
        ]
    for evaluation in evaluations:
        evaluation.maximised.mixture.forget()
    return evaluations, 2 if again else 1


_CENTRED: Kernel = "centred"


def _evaluated(
    statistics_of: StatisticsOf,
    mixtures: tuple[Mixture, ...],
    kernels: tuple[Kernel, ...],
    regularisation: Regularisation,
) -> list[Evaluation]:
    belief = belief_of(regularisation)
    summed = statistics_of(tuple(map(belief.expected, mixtures)), kernels)
    for mixture in mixtures:
        mixture.forget()
    return [
        Evaluation(
            statistics,
            maximise(statistics, mixture.family, regularisation, mixture),
            kernel,
            belief.log_density(statistics, mixture),
        )
        for mixture, statistics, kernel in zip(mixtures, summed, kernels, strict=True)
    ]


def _with_policy(
    evaluation: Evaluation, mixture: Mixture, regularisation: Regularisation
) -> Evaluation:
    if not evaluation.maximised.events:
        return evaluation
    maximised = maximise(evaluation.statistics, mixture.family, regularisation, mixture)
    return replace(evaluation, maximised=maximised)
