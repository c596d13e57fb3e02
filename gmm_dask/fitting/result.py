"""What a fit ends with: a mixture, the statistics of all rows under it, and how it came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import nan
from typing import Any

from gmm_dask.fitting.html_table import html_table
from gmm_dask.mixture import criteria
from gmm_dask.mixture.belief import belief_of
from gmm_dask.mixture.iteration import Candidate, EMSettings, EMState
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.summary import components_table
from gmm_dask.mixture.variational import Posterior, Variational
from gmm_dask.scoring.merging.merged import MergedMixture
from gmm_dask.scoring.merging.overlap import Overlap
from gmm_dask.scoring.merging.tree import Rule


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
    posterior: Posterior | None = field(default=None, repr=False)
    """Of a variational fit, whose `mixture` has the log-densities that are expected under it."""
    objective: float = nan
    """What was raised, per row: the mean log-likelihood, with the prior's part where it has one; of
    a variational fit the bound of the evidence."""
    overlap: Overlap | None = field(default=None, repr=False)
    """Which components share rows, where that was asked for."""

    def merged(self, clusters: int | None = None, by: Rule = "entropy") -> MergedMixture:
        """The mixture as so many clusters of components; left out, as many as are suggested."""
        if self.overlap is None:
            raise Refusal(
                "which components make up clusters is not known of this fit: fit with "
                "overlap=True, or take overlap(fit, rows).merged(…)"
            )
        return self.overlap.merged(clusters, by)

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

    def provenance(self) -> dict[str, Any]:
        """What a model is kept with: the same, and what its posterior has beside its mixture."""
        if self.posterior is None:
            return self.summary()
        kept = {"objective": self.objective, "posterior": self.posterior.as_dict()}
        return self.summary() | kept

    def __str__(self) -> str:
        return f"{self._headline()}\n{components_table(self.mixture, self.feature_names)}"

    def _repr_html_(self) -> str:
        table = html_table(components_table(self.mixture, self.feature_names))
        return f"<p>{escape(self._headline())}</p>{table}"

    def _headline(self) -> str:
        return (
            f"{self.reason}; {self.passes} passes over {self.statistics.rows:,} rows, "
            f"mean log-likelihood {self.mean_log_likelihood:.6g}, {self._worth()}"
        )

    def _worth(self) -> str:
        if self.posterior is None:
            return f"BIC {self.bic:.6g}"
        needed = int((self.posterior.counts >= 1).sum())
        return (
            f"bound of the evidence {self.objective:.6g}, {needed} of "
            f"{self.mixture.components} components with a row or more"
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
    settings: EMSettings,
    feature_names: tuple[str, ...],
    history: Sequence[dict[str, Any]],
    candidate: Candidate | None = None,
) -> Fit:
    """One candidate of a finished state, the likeliest unless another is named."""
    best = state.best if candidate is None else candidate
    if best.statistics is None or best.reason is None:
        raise ValueError("a fit ends only after a pass over the rows")
    belief = belief_of(settings.for_weight(best.statistics.weight).regularisation)
    posterior = belief.posterior(best.mixture) if isinstance(belief, Variational) else None
    expected = belief.expected(best.mixture)
    expected.factors  # noqa: B018  if it has let go of them: on the one thread of this fit
    return Fit(
        expected,
        best.statistics,
        best.reason,
        best.iteration,
        state.passes,
        feature_names,
        tuple(history),
        posterior,
        best.objective,
    )
