"""A refit that has something to do: from new rows to a decision, while it holds the models.

Every step here can be done again with the same result; only the last one changes what others see.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gmm_dask.chunked.engines.choice import engine_over
from gmm_dask.chunked.engines.protocol import Engine
from gmm_dask.chunked.profile import profile
from gmm_dask.chunked.rows import Rows
from gmm_dask.fitting.events import tell_refit
from gmm_dask.fitting.refitting.comparison import (
    Comparison,
    Drift,
    Expectation,
    comparison_of,
    drift_in,
)
from gmm_dask.fitting.refitting.held_back import has_fitted_rows, without_held_back
from gmm_dask.fitting.refitting.outcome import Refit, expectation_in, facts_of, model_of, profile_in
from gmm_dask.fitting.refitting.survey import Survey, confirm_earlier_rows
from gmm_dask.fitting.refitting.tally import HeldBackDensities, tally
from gmm_dask.fitting.result import Fit
from gmm_dask.fitting.run_loop import Callback, Conduct, carry_out
from gmm_dask.fitting.starts import Starts
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.models.versions import ModelVersions, Version
from gmm_dask.scoring.quantile import quantile
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.refit import RefitOptions

logger = logging.getLogger("gmm_dask")


@dataclass(frozen=True, eq=False)
class Update:
    """What one refit has in hand."""

    rows: Rows
    options: RefitOptions
    versions: ModelVersions
    current: Version | None
    seen: Survey
    plan: Starts
    conduct: Conduct

    def carry_out(self) -> Refit:
        """From what is new to a decision."""
        fitting = without_held_back(self.rows, self.options.held_back)
        confirm, drift = self.look_at_new_rows(fitting)
        fit = self.fit(fitting, confirm)
        with engine_over(self.rows, self.conduct.client, "none") as (engine, _):
            compared = self.compare(engine, fit.mixture)
            refit = Refit(
                self.versions.where,
                "promoted" if compared.better else "kept",
                self.seen.news,
                str(self.versions.standing.current),
                self.rows.shape[0],
                self.seen.new_rows,
                drift,
                compared,
                self.run,
                fit,
            )
            decided = self.decide(engine, refit, fit)
            tell_refit(
                engine,
                self.versions.where,
                self.rows.source.address,
                decided.outcome,
                None if drift is None else len(drift.alarms),
            )
        logger.info("%s", decided.line())
        return decided

    @property
    def run(self) -> str:
        """The run folder of this question."""
        return str(self.conduct.run)

    def look_at_new_rows(self, fitting: Rows) -> tuple[Callable[[], None], Drift | None]:
        """Check the new rows, and score them under the current model: two passes over them.

        Returns a check of the earlier rows as well, for when the first pass over all is done.
        """
        new = self.seen.new
        if self.current is None or new is None:
            return _nothing, None
        logger.info("%s: %d new rows", self.rows.source.address, new.shape[0])
        fitted = has_fitted_rows(new, self.options.held_back)
        part = replace(new, weights=fitting.weights) if fitted else new
        with engine_over(part, self.conduct.client, "none") as (engine, _):
            known = profile(engine, sample_rows=1, seed=self.plan.seed).summary()
        expected = expectation_in(self.current)
        with engine_over(new, self.conduct.client, "none") as (engine, _):
            mixture, threshold = self.current.model.mixture, expected.outlier_threshold
            tallied = tally(engine, (mixture,), threshold=threshold)
        drift = drift_in(tallied, expected, self.options)
        logger.info("new rows under %s: %s", self.current.name, drift.line())
        for alarm in drift.alarms:
            logger.warning("drift: %s", alarm)

        looked: Any = self.versions.standing.looked
        alike = looked["asked"]["held_back"] == self.options.held_back and fitted

        def confirm() -> None:
            address = self.rows.source.address
            confirm_earlier_rows(address, looked["profile"], known, profile_in(self.run))

        return (confirm if self.seen.news == "appended" and alike else _nothing), drift

    def fit(self, fitting: Rows, confirm: Callable[[], None]) -> Fit:
        """Fit all rows but those held back, in the run folder of this question."""
        self.plan.check(self.rows)
        logger.info("run folder: %s", self.run)
        callbacks = (_once(confirm), *self.conduct.callbacks)
        fit = carry_out(self.plan, fitting, replace(self.conduct, callbacks=callbacks))[1]
        confirm()  # a run that was finished before has called nobody
        return fit

    def compare(self, engine: Engine, mixture: Mixture) -> Comparison:
        """The current model and the new one on the rows held back: one pass."""
        before = () if self.current is None else (self.current.model.mixture,)
        if self.current and self.current.facts["asked"]["held_back"] < self.options.held_back:
            logger.warning(
                "%s has seen some of the rows that are held back now, which favours it: fewer were "
                "held back when it was fitted",
                self.current.name,
            )
        tallied = tally(engine, (*before, mixture), held_back=self.options.held_back)
        if not tallied.rows:
            raise ConfigurationError(
                f"of {self.rows.shape[0]} rows none is held back at held_back = "
                f"{self.options.held_back:g}, and nothing can be compared: hold back more"
            )
        return comparison_of(tallied, self.options.margin)

    def decide(self, engine: Engine, refit: Refit, fit: Fit) -> Refit:
        """Promote, or note that the current model stays."""
        asked, keep = self.seen.asked, self.options.keep
        looked = {"asked": asked, "profile": profile_in(self.run)}
        if refit.outcome == "kept":
            self.versions.note(refit.decision(), looked, keep=keep)
            return refit
        expected = self.expectation(engine, fit.mixture)
        facts = facts_of(refit, fit, self.rows, self.current, asked, expected)
        model = model_of(fit, self.rows, self.run)
        version = self.versions.promote(model, facts, refit.decision(), looked, keep=keep)
        return replace(refit, version=version)

    def expectation(self, engine: Engine, mixture: Mixture) -> Expectation:
        """The yardstick for rows to come: the rows held back under the new model."""
        share, wanted = self.options.held_back, self.options.outlier_quantile
        threshold, *_ = quantile(HeldBackDensities(engine, mixture, share), wanted)
        tallied = tally(engine, (mixture,), threshold=threshold, held_back=share)
        return Expectation(
            tallied.log_densities[0], tallied.shares, threshold, tallied.outliers[0], tallied.rows
        )


def _nothing() -> None:
    """Where there is nothing to confirm."""


def _once(check: Callable[[], None]) -> Callback:
    """A callback of fits that checks after the first iteration that it hears of."""
    checked = False

    def tell(_: object) -> None:
        nonlocal checked
        if not checked:
            check()
            checked = True

    return tell
