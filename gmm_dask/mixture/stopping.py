"""When a fit is done, and by what name: `reason(previous, current)` is a name or None."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal

CONVERGED = "converged"


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A mixture and its own mean log-likelihood, after so many iterations."""

    mixture: Mixture
    mean_log_likelihood: float
    iteration: int


@dataclass(frozen=True)
class Stopping:
    """Thresholds; None turns one off.

    tol: change of the mean log-likelihood per row (scikit-learn's tol); relative_tol: the same
    relative to its size; parameter_tol: the largest change of any parameter in units of the data's
    standard deviations; max_iter: iterations, as scikit-learn counts them (one M-step each).
    """

    tol: float | None = 1e-3
    relative_tol: float | None = None
    parameter_tol: float | None = None
    max_iter: int = 100

    def __post_init__(self) -> None:
        for name in ("tol", "relative_tol", "parameter_tol"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise Refusal(f"{name} must be a number from 0 up or None, not {value}")
        if self.max_iter < 0:
            raise Refusal(f"max_iter must be a number from 0 up, not {self.max_iter}")

    def reason(self, previous: Evaluated | None, current: Evaluated) -> str | None:
        """Why to stop at `current`, or None to go on."""
        if not isfinite(current.mean_log_likelihood):
            return "failed: the log-likelihood is not finite"
        if previous is not None:
            change = abs(current.mean_log_likelihood - previous.mean_log_likelihood)
            size = abs(current.mean_log_likelihood)
            if self.tol is not None and change < self.tol:
                return f"{CONVERGED}: mean log-likelihood changed by less than {self.tol:g}"
            if self.relative_tol is not None and change < self.relative_tol * size:
                return (
                    f"{CONVERGED}: mean log-likelihood changed by less than "
                    f"{self.relative_tol:g} of itself"
                )
            if self.parameter_tol is not None and (
                parameter_change(previous.mixture, current.mixture) < self.parameter_tol
            ):
                return f"{CONVERGED}: no parameter changed by {self.parameter_tol:g}"
        if current.iteration >= self.max_iter:
            return f"max_iter: {self.max_iter} iterations are done"
        return None


def parameter_change(before: Mixture, after: Mixture) -> float:
    """The largest change of a weight, a mean (in the data's sd) or a (co)variance (likewise)."""
    if before.means.shape != after.means.shape:
        return float("inf")
    deviations = np.sqrt(after.variance)
    units = deviations**2
    covariances = before.spread(before.covariances) - after.spread(after.covariances)
    if covariances.ndim == 3:
        units = deviations * deviations[:, None]
    return float(
        max(
            np.abs(before.all_weights - after.all_weights).max(),
            np.abs((before.means - after.means) / deviations).max(),
            np.abs(covariances / units).max(),
        )
    )
