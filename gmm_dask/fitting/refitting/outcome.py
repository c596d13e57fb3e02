"""What a refit ends with, and how that is noted beside the versions and told in a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from gmm_dask.chunked.rows import Rows
from gmm_dask.fitting.refitting.comparison import Comparison, Drift, Expectation
from gmm_dask.fitting.refitting.survey import News
from gmm_dask.fitting.result import Fit
from gmm_dask.models.model import Model
from gmm_dask.models.versions import Version
from gmm_dask.runs.layout import PROFILE
from gmm_dask.runs.view import RunView, look_at_run
from gmm_dask.store.errors import KeyMissingError

Outcome: TypeAlias = Literal["nothing new", "promoted", "kept"]


@dataclass(frozen=True, eq=False)
class Refit:
    """One look at the rows: what was new, what was found, and which version is current now."""

    models: str
    outcome: Outcome
    news: News
    version: str
    rows: int
    new_rows: int
    drift: Drift | None = None
    comparison: Comparison | None = None
    run: str | None = None
    fit: Fit | None = field(default=None, repr=False)

    @property
    def alarms(self) -> tuple[str, ...]:
        """What somebody should look at."""
        return () if self.drift is None else self.drift.alarms

    def summary(self) -> dict[str, Any]:
        """All but the fit itself, JSON-able."""
        names = ("models", "outcome", "news", "version", "rows", "new_rows", "run")
        return {
            **{name: getattr(self, name) for name in names},
            "drift": None if self.drift is None else self.drift.as_dict(),
            "comparison": None if self.comparison is None else self.comparison.as_dict(),
            "alarms": list(self.alarms),
        }

    def decision(self) -> dict[str, Any]:
        """The line of the history."""
        facts = {name: getattr(self, name) for name in ("outcome", "news", "rows", "new_rows")}
        return {
            **facts,
            "run": str(self.run).rpartition("/")[2],
            "comparison": None if self.comparison is None else self.comparison.as_dict(),
            "drop": None if self.drift is None else self.drift.drop,
            "outlier_share": None if self.drift is None else self.drift.outlier_share,
            "alarms": list(self.alarms),
        }

    def line(self) -> str:
        """What was decided and why, for a person."""
        comparison = self.comparison
        if comparison is None:
            return f"nothing new: {self.version} stays"
        on = f"on {comparison.rows:,} rows held back"
        if comparison.gain is None:
            return f"{self.version} is the first: mean log density {comparison.after:.6f} {on}"
        gained = (
            f"mean log density {comparison.before:.6f} before, {comparison.after:.6f} after {on}, "
            f"a gain of {comparison.gain:.3g} ± {comparison.error:.1g}"
        )
        if self.outcome == "promoted":
            return f"{self.version} is promoted: {gained}"
        return f"{self.version} stays: {gained}, where more than {comparison.margin:g} is asked for"


def facts_of(
    refit: Refit, fit: Fit, rows: Rows, before: Version | None, asked: Any, expected: Expectation
) -> dict[str, object]:
    """What is written beside a version's model."""
    return {
        **refit.decision(),
        "data": rows.describe(),
        "asked": asked,
        "from": None if before is None else before.name,
        "fit": fit.summary(),
        "drift": None if refit.drift is None else refit.drift.as_dict(),
        "expected": asdict(expected),
    }


def expectation_in(version: Version) -> Expectation:
    """The yardstick that was kept with a version."""
    kept: Mapping[str, Any] = version.facts["expected"]
    return Expectation(**{**kept, "shares": tuple(kept["shares"])})


def model_of(fit: Fit, rows: Rows, run: str) -> Model:
    """A fit as its run saves it."""
    record = run_at(run).record
    provenance = {
        "data": rows.describe(),
        "configuration": record.configuration,
        "versions": record.versions,
        **fit.provenance(),
    }
    return Model(fit.mixture, fit.feature_names, provenance)


def profile_in(run: str) -> dict[str, Any]:
    """What the first pass of a run found."""
    view = run_at(run)
    profile = view.profile
    if profile is None:
        raise KeyMissingError(f"{PROFILE} is missing in {view.folder}")
    return profile


def run_at(run: str) -> RunView:
    """A run that was begun."""
    view = look_at_run(run)
    if view is None:
        raise KeyMissingError(f"the run folder {run} is gone; refit again to begin it anew")
    return view
