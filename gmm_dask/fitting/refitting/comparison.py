"""What was found out about new rows and a new model, and what follows from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gmm_dask.fitting.refitting.tally import Tally
from gmm_dask.settings.refit import RefitOptions

SURE = 3.0
"""Standard errors beyond which few rows are not just chance."""


@dataclass(frozen=True)
class Expectation:
    """What a model says of rows that it has not seen, from when it was promoted: the yardstick."""

    mean_log_density: float
    shares: tuple[float, ...]
    outlier_threshold: float
    outlier_share: float
    held_back_rows: int


@dataclass(frozen=True)
class Drift:
    """New rows under the current model, beside what was expected of them."""

    rows: int
    mean_log_density: float
    error: float
    expected: float
    outlier_share: float
    outlier_error: float
    outliers_expected: float
    shares: tuple[float, ...]
    shares_expected: tuple[float, ...]
    alarms: tuple[str, ...]

    @property
    def drop(self) -> float:
        """By how much the mean log density is lower than expected."""
        return self.expected - self.mean_log_density

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "drop": self.drop}

    def line(self) -> str:
        """In a line, for a person."""
        return (
            f"mean log density {self.mean_log_density:.6f}, expected {self.expected:.6f}; "
            f"{self.outlier_share:.2%} outliers, expected {self.outliers_expected:.2%}"
        )


@dataclass(frozen=True)
class Comparison:
    """Mean log density of the held-back rows under the current model and under the new one.

    `gain` is the mean of the rows' differences, and `error` its standard error: rows are paired,
    so it is far smaller than that of either mean.
    """

    rows: int
    before: float | None
    after: float
    gain: float | None
    error: float | None
    margin: float

    @property
    def better(self) -> bool:
        """Whether the new model is to be the current one; without one before, it is."""
        return self.gain is None or self.gain > self.margin

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def drift_in(tally: Tally, expected: Expectation, options: RefitOptions) -> Drift:
    """What a tally of new rows under the current model amounts to."""
    (mean,), (outliers, outlier_error) = tally.log_densities, tally.outliers
    measured = Drift(
        tally.rows,
        mean,
        tally.error,
        expected.mean_log_density,
        outliers,
        outlier_error,
        expected.outlier_share,
        tally.shares,
        expected.shares,
        (),
    )
    return Drift(**{**vars(measured), "alarms": tuple(_alarms(measured, options))})


def _alarms(drift: Drift, options: RefitOptions) -> list[str]:
    """More than is allowed, and more than chance would do."""
    alarms = []
    if drift.drop - SURE * drift.error > options.drift_alarm:
        alarms.append(
            f"the mean log density of {drift.rows:,} new rows is {drift.drop:.4g} lower than "
            f"expected; {options.drift_alarm:g} is allowed"
        )
    if drift.outlier_share - SURE * drift.outlier_error > options.outlier_alarm:
        alarms.append(
            f"{drift.outlier_share:.1%} of {drift.rows:,} new rows are outliers, where "
            f"{drift.outliers_expected:.1%} are expected and {options.outlier_alarm:.1%} allowed"
        )
    return alarms


def comparison_of(tally: Tally, margin: float) -> Comparison:
    """Of two mixtures tallied over the held-back rows, or of a first one."""
    if tally.mixtures == 1:
        return Comparison(tally.rows, None, tally.log_densities[0], None, None, margin)
    (before, after), (gain, error) = tally.log_densities, tally.gain
    return Comparison(tally.rows, before, after, gain, error, margin)
