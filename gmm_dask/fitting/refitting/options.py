"""What decides about a refit, in plain values: the section [refit] of a TOML file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from gmm_dask.settings.configuration import ConfigurationError


@dataclass(frozen=True)
class RefitOptions:
    """When a new model takes the place of the current one, and when drift is an alarm.

    margin            least gain in mean log density per held-back row
    held_back         share of rows that no fit sees, on which models are compared
    drift_alarm       alarm when new rows have a mean log density lower than expected by more
    outlier_quantile  what counts as an outlier: below this quantile under the current model
    outlier_alarm     alarm when the share of outliers among new rows is above this
    changed           what to do when earlier rows are not what they were
    keep              versions kept
    """

    margin: float = 1e-3
    held_back: float = 0.1
    drift_alarm: float = 0.5
    outlier_quantile: float = 0.01
    outlier_alarm: float = 0.05
    changed: Literal["error", "refit"] = "error"
    keep: int = 10

    def __post_init__(self) -> None:
        for name in ("margin", "drift_alarm"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(f"{name} must be 0 or more, not {getattr(self, name)!r}")
        for name in ("held_back", "outlier_quantile", "outlier_alarm"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigurationError(
                    f"{name} is a share between 0 and 1, not {getattr(self, name)!r}"
                )
        if self.changed not in ("error", "refit"):
            raise ConfigurationError(f"changed must be error or refit, not {self.changed!r}")
        if not isinstance(self.keep, int) or self.keep < 1:
            raise ConfigurationError(f"keep must be a whole number from 1 up, not {self.keep!r}")

    def given(self) -> dict[str, Any]:
        """What is not as it is without a word."""
        return {k: v for k, v in vars(self).items() if v != getattr(RefitOptions(), k)}
