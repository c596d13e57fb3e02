"""What a fit ends with: a mixture, the statistics of all rows under it, and how it came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from gmm_dask.fitting.html_table import html_table
from gmm_dask.mixture import criteria
from gmm_dask.mixture.iteration import Candidate, EMState
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.summary import components_table


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted mixture, the statistics of all rows under it, and how it came about."""

    mixture: Mixture
    statistics: SufficientStatistics
    reason: str
    iterations: int
    passes: int
    feature_names: tuple[str, ...]
    history: tuple[dict[str, Any], ...] = field(repr=False)

    @property
    def converged(self) -> bool:
        """Whether a tolerance ended it, and not the cap on iterations."""
        return self.reason.startswith("converged")

    @property
    def mean_log_likelihood(self) -> float:
        """Per row, of this very mixture."""
        return self.statistics.mean_log_likelihood

    def summary(self) -> dict[str, Any]:
        """The result in a few numbers, JSON-able."""
        return {
            "reason": self.reason,
            "iterations": self.iterations,
            "passes": self.passes,
            "rows": self.statistics.rows,
            "weight": self.statistics.weight,
            "mean_log_likelihood": self.mean_log_likelihood,
            "bic": self.bic,
            "aic": self.aic,
            "icl": self.icl,
        }

    def __str__(self) -> str:
        return f"{self._headline()}\n{components_table(self.mixture, self.feature_names)}"

    def _repr_html_(self) -> str:
        table = html_table(components_table(self.mixture, self.feature_names))
        return f"<p>{escape(self._headline())}</p>{table}"

    def _headline(self) -> str:
        return (
            f"{self.reason}; {self.passes} passes over {self.statistics.rows:,} rows, "
            f"mean log-likelihood {self.mean_log_likelihood:.6g}, BIC {self.bic:.6g}"
        )

    @property
    def bic(self) -> float:
        """Schwarz's criterion; smaller is better."""
        return criteria.bic(self.mixture, self.statistics)

    @property
    def aic(self) -> float:
        """Akaike's criterion; smaller is better."""
        return criteria.aic(self.mixture, self.statistics)

    @property
    def icl(self) -> float:
        """The integrated complete likelihood; smaller is better."""
        return criteria.icl(self.mixture, self.statistics)


def concluded(
    state: EMState,
    feature_names: tuple[str, ...],
    history: Sequence[dict[str, Any]],
    candidate: Candidate | None = None,
) -> Fit:
    """One candidate of a finished state, the likeliest unless another is named."""
    best = state.best if candidate is None else candidate
    if best.statistics is None or best.reason is None:
        raise ValueError("a fit ends only after a pass over the rows")
    return Fit(
        best.mixture,
        best.statistics,
        best.reason,
        best.iteration,
        state.passes,
        feature_names,
        tuple(history),
    )
