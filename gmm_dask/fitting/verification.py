"""A stored model beside all rows: is it where its fit came to rest, and as good as is kept of it?

The textbook identities hold for any mixture, right or wrong. A wrong one is far from rest, so that
one EM step gains much, and has another likelihood than its provenance says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, fields, replace
from math import isfinite, sqrt
from typing import Any

import numpy as np
from distributed import Client

from gmm_dask.chunked.engines.choice import engine_over
from gmm_dask.chunked.expectation import statistics_over
from gmm_dask.chunked.rows import Rows
from gmm_dask.mixture.evaluation import evaluate
from gmm_dask.mixture.identities import Identity, tolerance
from gmm_dask.mixture.iteration import ROUNDING, EMSettings
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.stopping import CONVERGED, Stopping, parameter_change
from gmm_dask.models.model import Model
from gmm_dask.settings.mixture import Configuration

ROUNDING_OF_FLOAT32 = 1e-5
SLACK = 2.0
"""An EM step gains less than the one before it, but for a plateau that it is leaving."""
SURE = 5.0
"""Standard deviations of what sampling alone lets a step gain."""


@dataclass(frozen=True, eq=False)
class Step:
    """A mixture, the statistics of all rows at it, and the EM step from it."""

    mixture: Mixture
    statistics: SufficientStatistics
    solution: Mixture
    gain: float
    """Of the mean log-likelihood, with the prior's part where the fit had one."""


def verify_fit(model: Model, rows: Rows, client: Client | None = None) -> Iterator[Identity]:
    """One EM step over all rows, held against what the fit stopped at, and the likelihood against
    what the provenance says, where it is of these rows: two passes."""
    asked, provenance = asked_of(model), model.provenance
    carried, weight = carried_by(model)
    settings = asked.settings().for_weight(weight or float(rows.shape[0]))
    step = one_step(carried, rows, settings, client)
    same = _same_rows(provenance, rows, step.statistics)
    if same:
        yield as_told(step, float(provenance["mean_log_likelihood"]), asked)
    if not same or str(provenance.get("reason")).startswith(CONVERGED):
        yield at_rest(step, settings.stopping, drawn_anew=not same)


def one_step(mixture: Mixture, rows: Rows, settings: EMSettings, client: Client | None) -> Step:
    """The plain EM step, with the floors that the fit had."""
    gentle = replace(settings.regularisation, degenerate="floor"), settings.arithmetic
    with engine_over(rows, client, "none") as (engine, _):
        mixture = copy(mixture)  # its factors made by one thread of BLAS, as on workers
        statistics_of = statistics_over(engine)
        (here,), _ = evaluate(statistics_of, (mixture,), *gentle)
        solution = here.maximised.mixture
        (after,), _ = evaluate(statistics_of, (solution,), *gentle)
    return Step(mixture, here.statistics, solution, after.objective - here.objective)


def carried_by(model: Model) -> tuple[Mixture, float]:
    """What the loop carried, and the weight of its rows where that is told: of a variational fit
    the mixture whose weights are shares of rows."""
    told, mixture = model.provenance.get("posterior"), model.mixture
    if not isinstance(told, Mapping):
        return mixture, float(model.provenance.get("weight") or 0)
    weight = float(told["weight"])
    shares = np.asarray(told["counts"]) / weight
    return Mixture(shares, mixture.means, mixture.covariances, mixture.family), weight


def asked_of(model: Model) -> Configuration:
    """The configuration that a model was fitted by, or what is usual where that is not told."""
    usual = Configuration(model.mixture.components, model.mixture.family)
    names = {field.name for field in fields(Configuration)} - {"components", "covariance", "init"}
    for one in _told_configurations(model):
        try:
            return replace(usual, **{name: one[name] for name in names & set(one)})
        except (TypeError, ValueError):  # of another version
            continue
    return usual


def _told_configurations(model: Model) -> list[Mapping[str, Any]]:
    """Of one fit, or of a grid those of the model's family: all have the same tolerances."""
    configuration = model.provenance.get("configuration")
    given = configuration if isinstance(configuration, Mapping) else {}
    every = given.get("grid", [given])
    return [
        one
        for one in (every if isinstance(every, list) else [])
        if isinstance(one, Mapping) and one.get("covariance") == model.mixture.family
    ]


def _same_rows(provenance: Mapping[str, Any], rows: Rows, statistics: SufficientStatistics) -> bool:
    weight, value = provenance.get("weight"), provenance.get("mean_log_likelihood")
    return (
        provenance.get("data") == rows.describe()
        and provenance.get("rows") == statistics.rows
        and isinstance(weight, float)
        and isinstance(value, float)
        and abs(weight - statistics.weight) <= ROUNDING * weight
    )


def as_told(step: Step, stated: float, asked: Configuration) -> Identity:
    """The mean log-likelihood of all rows is the one that the fit ended with."""
    computed = step.statistics.mean_log_likelihood
    error = abs(computed - stated) / max(1.0, abs(stated))
    bar = ROUNDING_OF_FLOAT32 if asked.arithmetic == "float32" else tolerance(step.mixture)
    return Identity(
        "as its fit ended", "L/n of all rows, as told", computed, stated, error, error <= bar
    )


def at_rest(step: Step, stopping: Stopping, *, drawn_anew: bool) -> Identity:
    """One EM step gains no more than what the fit was to stop at.

    Of other rows than the model was fitted to, or drawn by, it may gain what sampling alone gives:
    2 n (max L − L) / n is χ² with as many degrees of freedom as there are parameters.
    """
    size = abs(step.statistics.mean_log_likelihood)
    bars = [stopping.tol, stopping.relative_tol and stopping.relative_tol * size]
    still = stopping.parameter_tol is not None and (
        parameter_change(step.mixture, step.solution) <= SLACK * stopping.parameter_tol
    )
    bar = SLACK * max((bar for bar in bars if bar is not None), default=0.0)
    if drawn_anew:
        free = step.mixture.parameter_count
        bar += (free + SURE * sqrt(2 * free)) / (2 * step.statistics.rows)
    gain = step.gain
    error = max(gain, 0.0) if isfinite(gain) else float("inf")
    holds = error <= max(bar, ROUNDING * size) or still
    return Identity(
        "at rest", "ΔL/n of one EM step over all rows ≤ tolerance", gain, bar, error, holds
    )
