"""Restarts raced on a sample of rows: many short runs, of which the best few go on to all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gmm_dask.mixture.iteration import Candidate, EMSettings, EMState, run, start
from gmm_dask.mixture.kernels import Kernel
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.starts.initial import Sample
from gmm_dask.mixture.sweep import Statistics, StatisticsOf, sweep

FIRST_ROUND = 8
"""Iterations before the first half is dropped; every further round doubles them."""

SETTLED = 1e-3
"""What a start's mean log-likelihood need not change by any more, scikit-learn's tolerance."""


def statistics_of_sample(sample: Sample) -> StatisticsOf:
    """The seam for rows in memory: one block."""

    def statistics_of(mixtures: tuple[Mixture, ...], kernels: tuple[Kernel, ...]) -> Statistics:
        return sweep(sample.rows, mixtures, sample.weights, kernels)

    return statistics_of


def race(
    sample: Sample, starts: Sequence[Mixture], keep: int, settings: EMSettings = EMSettings()
) -> tuple[Mixture, ...]:
    """The `keep` mixtures that lead after rounds of EM on the sample, the best first.

    Each round drops the lower half (successive halving), so that a hundred starts cost little more
    than the few that are worth it. All that go on share their passes.
    """
    if not 1 <= keep <= len(starts):
        raise Refusal(f"keep must be between 1 and {len(starts)} starts, not {keep}")
    statistics_of, runners, iterations = statistics_of_sample(sample), list(starts), FIRST_ROUND
    while True:
        lapped = replace(settings, stopping=replace(settings.stopping, max_iter=iterations))
        ranked = ranking(run(statistics_of, start(runners), lapped))
        if len(ranked) <= keep:
            return tuple(candidate.mixture for candidate in ranked)
        runners = [c.mixture for c in ranked[: max(keep, len(ranked) // 2)]]
        iterations *= 2


def settled(sample: Sample, mixture: Mixture, settings: EMSettings = EMSettings()) -> Mixture:
    """Where EM on the sample takes a mixture, to a tolerance that a start is worth."""
    return run(statistics_of_sample(sample), start([mixture]), coarse(settings)).best.mixture


def coarse(settings: EMSettings) -> EMSettings:
    """The same, to a tolerance that a start is worth."""
    stopping = replace(settings.stopping, tol=max(settings.stopping.tol or 0.0, SETTLED))
    return replace(settings, stopping=stopping)


def ranking(state: EMState) -> list[Candidate]:
    """Candidates from the highest log-likelihood to the lowest, those with a degenerate component
    last; ties keep their order."""
    return sorted(state.candidates, key=lambda candidate: candidate.standing, reverse=True)
