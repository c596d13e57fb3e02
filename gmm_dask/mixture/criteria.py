"""Criteria for choosing among mixtures; smaller is better, as in scikit-learn.

Imports no NumPy: command-line help is made of the names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from gmm_dask.mixture.parameters import Mixture
    from gmm_dask.mixture.statistics import SufficientStatistics

Criterion: TypeAlias = Literal["bic", "aic", "icl"]


def aic(mixture: Mixture, statistics: SufficientStatistics) -> float:
    """Akaike: −2 L + 2 p."""
    return -2 * statistics.log_likelihood + 2 * mixture.parameter_count


def bic(mixture: Mixture, statistics: SufficientStatistics) -> float:
    """Schwarz: −2 L + p log n."""
    return -2 * statistics.log_likelihood + mixture.parameter_count * log(statistics.weight)


def icl(mixture: Mixture, statistics: SufficientStatistics) -> float:
    """Integrated complete likelihood with hard assignment: BIC − 2 Σ_n log max_k r_nk.

    Biernacki, Celeux & Govaert (2000): BIC of the data completed with their labels.
    """
    return bic(mixture, statistics) - 2 * statistics.log_max


CRITERIA: Mapping[Criterion, Callable[[Mixture, SufficientStatistics], float]] = MappingProxyType(
    {"bic": bic, "aic": aic, "icl": icl}
)
