"""Which mixture: a grid over K, families and starts, fitted in the same passes over the data.

Ten candidates read the data once per iteration, not ten times. A candidate that can no longer win
is dropped on the way; what it had reached stays in the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from distributed import Client

from gmm_dask.chunked.engines.protocol import Cache, Engine
from gmm_dask.chunked.profile import Profile
from gmm_dask.chunked.rows import Rows
from gmm_dask.fitting.fit import opened, whole
from gmm_dask.fitting.html_table import html_table
from gmm_dask.fitting.journal import EVERY_ITERATION, Rhythm
from gmm_dask.fitting.orientation import check_upright
from gmm_dask.fitting.result import Fit, concluded
from gmm_dask.fitting.run_loop import Callback, Conduct, carry_out
from gmm_dask.fitting.starts import drawn_starts, noise_of
from gmm_dask.mixture.covariance import families_named, family_named
from gmm_dask.mixture.criteria import CRITERIA, Criterion
from gmm_dask.mixture.iteration import Candidate, EMSettings, EMState, start
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.starts import MOVED
from gmm_dask.mixture.starts.dense_rows import dense_rows
from gmm_dask.mixture.starts.initial import Sample
from gmm_dask.mixture.starts.moves import improved
from gmm_dask.mixture.starts.race import race, settled
from gmm_dask.mixture.starts.splitting import splits
from gmm_dask.mixture.tables import Table
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.mixture import Configuration
from gmm_dask.settings.select import SelectOptions
from gmm_dask.store.location import Location

PATIENCE = 5
"""Iterations that every candidate gets."""
OPTIMISM = 10.0
"""EM gains less and less: after t iterations a candidate is trusted to gain still this many times
t times its last gain. Only one that even so would not become the best is given up."""


@dataclass(frozen=True)
class Choice:
    """One line of the table: a candidate, and what it was worth in the end."""

    components: int
    covariance: str
    mean_log_likelihood: float
    parameters: int
    bic: float
    aic: float
    icl: float
    iterations: int
    reason: str
    degenerate: int = 0
    """Components that rest on reg_covar or a floor, or are thinner than the data are rounded."""

    def standing(self, criterion: str) -> tuple[bool, float]:
        """What is smaller wins: a criterion that a degenerate component lowered beats no other."""
        return self.degenerate > 0, getattr(self, criterion)


@dataclass(frozen=True, eq=False)
class Selection:
    """The candidates as a table, the best first, and the fit of the best."""

    criterion: Criterion
    table: tuple[Choice, ...]
    best: Fit
    passes: int

    def __str__(self) -> str:
        return str(choices_table(self.table, self._note()))

    def _repr_html_(self) -> str:
        return html_table(choices_table(self.table, self._note()))

    def _note(self) -> str:
        best = self.table[0]
        last = sum(choice.degenerate > 0 for choice in self.table)
        return (
            f"best by {self.criterion.upper()}: {best.components} components, {best.covariance}; "
            f"{self.passes} passes for {len(self.table)} candidates"
            + (f", of which {last} with degenerate components come last" * (last > 0))
        )


def choices_table(choices: Sequence[Choice], note: str = "") -> Table:
    """Candidates with their criteria, a line each."""
    headings: tuple[str, ...] = (
        *("K", "covariance", "log-lik/row", "parameters", "BIC", "AIC", "ICL", "iterations"),
    )
    columns = [
        [str(c.components) for c in choices],
        [c.covariance for c in choices],
        [f"{c.mean_log_likelihood:.6f}" for c in choices],
        [str(c.parameters) for c in choices],
        *([f"{getattr(c, name):.1f}" for c in choices] for name in ("bic", "aic", "icl")),
        [str(c.iterations) for c in choices],
    ]
    if any(c.degenerate for c in choices):
        headings = (*headings, "degenerate")
        columns.append([str(c.degenerate or "") for c in choices])
    lines = tuple(zip(*columns, [c.reason for c in choices], strict=True))
    return Table((*headings, "reason"), lines, frozenset({1, len(headings)}), note=note)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The plan of fitting many mixtures at once."""

    configurations: tuple[Configuration, ...]
    criterion: Criterion = "bic"
    drop: bool = True

    @classmethod
    def of(cls, usual: Configuration, asked: SelectOptions) -> Candidates:
        """Every number in every family, all else as usual."""
        return cls(
            tuple(
                replace(usual, components=number, covariance=family)
                for family in asked.covariance
                for number in asked.numbers
            ),
            asked.criterion,
            asked.drop,
        )

    @property
    def seed(self) -> int:
        """Of the sample and of all drawn starts."""
        return self.configurations[0].seed

    @property
    def sample_rows(self) -> int:
        """How many rows to draw in the profile pass."""
        return self.configurations[0].sample_rows

    def settings(self) -> EMSettings:
        """How to iterate: the same for all candidates."""
        return self.configurations[0].settings()

    def identity(self) -> dict[str, Any]:
        """All configurations, and how the best is chosen."""
        return {
            "grid": [configuration.identity() for configuration in self.configurations],
            "criterion": self.criterion,
            "drop": self.drop,
        }

    def begin(self, engine: Engine, known: Profile) -> EMState:
        """One start for every configuration, the winner of its race: of those that were drawn, and
        of splits of the next smaller mixture of its family, which it then starts no lower than."""
        sample = Sample.of(known.sample.rows, known.sample.represented)
        begun, smaller = dict[Configuration, Mixture](), dict[str, Mixture]()
        noise = noise_of(self.configurations[0], engine.rows, known)
        dense = dense_rows(sample, noise, max(one.components for one in self.configurations))
        for one in sorted(self.configurations, key=lambda c: c.components):
            split = larger(sample, smaller.get(one.covariance), one)
            starts = [*drawn_starts(dense, one, noise), *split]
            settings = one.settings().for_rows(sample.rows, sample.weight)
            (winner,) = race(sample, starts, 1, settings) if len(starts) > 1 else starts
            better = improved if one.init in MOVED else settled
            begun[one] = smaller[one.covariance] = better(sample, winner, settings)
        return start([begun[one] for one in self.configurations])

    def revise(self, state: EMState) -> EMState:
        """Drop candidates that can no longer become the best."""
        if not self.drop:
            return state
        leader = self.value(self.leading(state))
        return replace(state, candidates=tuple(self._judged(c, leader) for c in state.candidates))

    def _judged(self, candidate: Candidate, leader: float) -> Candidate:
        if candidate.reason or candidate.iteration < PATIENCE:
            return candidate
        hoped = self.value(candidate) - 2 * still_to_gain(candidate)
        if not hoped > leader:
            return candidate
        return replace(candidate, reason=f"dropped: its {self.criterion} could not become the best")

    def leading(self, state: EMState) -> Candidate:
        """The best by the criterion, of those without a degenerate component where there is one."""
        return min(state.candidates, key=lambda c: (bool(c.degenerate), self.value(c)))

    def value(self, candidate: Candidate) -> float:
        """The criterion; infinite where there is no likelihood."""
        if candidate.statistics is None or not isfinite(candidate.mean_log_likelihood):
            return float("inf")
        return CRITERIA[self.criterion](candidate.mixture, candidate.statistics)

    def conclude(self, state: EMState, rows: Rows, history: Sequence[dict[str, Any]]) -> Fit:
        """The best by the criterion."""
        return concluded(state, self.settings(), rows.feature_names, history, self.leading(state))

    def table(self, state: EMState) -> tuple[Choice, ...]:
        """All candidates, the best first."""
        choices = [choice(c) for c in state.candidates if c.statistics is not None]
        return tuple(sorted(choices, key=lambda c: c.standing(self.criterion)))


def larger(sample: Sample, smaller: Mixture | None, asked: Configuration) -> list[Mixture]:
    """Starts with as many components as are asked for, by splitting those of a smaller mixture."""
    if smaller is None or smaller.components >= asked.components:
        return []
    settings = asked.settings().for_rows(sample.rows, sample.weight)
    while smaller.components < asked.components - 1:
        (smaller,) = race(sample, splits(smaller), 1, settings)
    return splits(smaller)


def still_to_gain(candidate: Candidate) -> float:
    """Log-likelihood, of all rows, that a candidate is trusted to gain still."""
    record, statistics = candidate.record, candidate.statistics
    if record is None or statistics is None or record.step == "refused":
        return float("inf")
    return OPTIMISM * candidate.iteration * max(record.change, 0.0) * statistics.weight


def choice(candidate: Candidate) -> Choice:
    """A candidate as a line of the table."""
    statistics, mixture = candidate.statistics, candidate.mixture
    if statistics is None:
        raise ValueError("a candidate has no criteria before its first pass")
    return Choice(
        mixture.components,
        mixture.family,
        statistics.mean_log_likelihood,
        mixture.parameter_count,
        CRITERIA["bic"](mixture, statistics),
        CRITERIA["aic"](mixture, statistics),
        CRITERIA["icl"](mixture, statistics),
        candidate.iteration,
        candidate.reason or "still going",
        len({event.component for event in candidate.degenerate}),
    )


def select(
    source: object,
    components: Iterable[int],
    covariance: Sequence[str] | str = "full",
    *,
    criterion: Criterion = "bic",
    drop: bool = True,
    client: Client | None = None,
    cache: Cache = "auto",
    run: Location | None = None,
    restart: bool = False,
    checkpoint: Rhythm = EVERY_ITERATION,
    callbacks: Sequence[Callback] = (),
    opening: dict[str, Any] | None = None,
    **settings: Any,
) -> Selection:
    """Fit every number of components in every covariance family, all in the same passes.

    `settings` are those of a `Configuration` (tol, n_init, seed, …); `opening` goes to `open_rows`.
    """
    names = [covariance] if isinstance(covariance, str) else covariance
    families = [family_named(name).name for name in families_named(names)]
    numbers = [whole(number) for number in components]
    if not numbers or not families:
        raise ConfigurationError("select needs at least one number of components and one family")
    if criterion not in CRITERIA:
        raise ConfigurationError(f"criterion must be one of {', '.join(CRITERIA)}")
    plan = Candidates(
        tuple(Configuration(k, family, **settings) for family in families for k in numbers),
        criterion,
        drop,
    )
    conduct = Conduct(client, cache, run, restart, checkpoint, callbacks)
    return selected(plan, opened(source, opening or {}), conduct)


def selected(plan: Candidates, rows: Rows, conduct: Conduct) -> Selection:
    """Carry it out."""
    if any(configuration.method == "variational" for configuration in plan.configurations):
        raise ConfigurationError(
            "criteria compare likelihoods: a variational fit finds by itself how many components "
            "the data need; fit the largest number, with method='variational'"
        )
    for configuration in plan.configurations:
        configuration.check_drawn()
        configuration.check_rows(rows.shape[0])
    check_upright(rows, plan.configurations)
    state, best = carry_out(plan, rows, conduct)
    return Selection(plan.criterion, plan.table(state), best, state.passes)
