"""What is believed of the weights of K components that so many rows belong to.

Two priors: a Dirichlet distribution, and a Dirichlet process, a stick that is broken K times (Blei
& Jordan 2006). Their posteriors follow from the counts n_k (K,) alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from scipy.special import betaln, digamma, gammaln

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.prior import WeightProcess


class WeightBelief(Protocol):
    """A prior of weights, and what follows from counts."""

    def __init__(self, concentration: float) -> None: ...

    @property
    def concentration(self) -> float:
        """γ."""

    def concentrations(self, counts: Array) -> Array:
        """The parameters of the posterior: (K,), or two of every break of the stick, (2, K)."""

    def weights(self, counts: Array) -> Array:
        """E[π], (K,), made to sum to 1."""

    def expected_logs(self, counts: Array) -> Array:
        """E[log π], (K,)."""

    def divergence(self, counts: Array) -> float:
        """KL of the posterior from the prior."""


@dataclass(frozen=True)
class Dirichlet:
    """π ~ Dir(γ, …, γ)."""

    concentration: float

    def concentrations(self, counts: Array) -> Array:
        """γ + n_k, (K,)."""
        return self.concentration + counts

    def weights(self, counts: Array) -> Array:
        """Those of the posterior's mean."""
        alpha = self.concentrations(counts)
        mean: Array = alpha / alpha.sum()
        return mean

    def expected_logs(self, counts: Array) -> Array:
        """ψ(α_k) − ψ(Σ α)."""
        alpha = self.concentrations(counts)
        logs: Array = digamma(alpha) - digamma(alpha.sum())
        return logs

    def divergence(self, counts: Array) -> float:
        """log C(α) − log C(γ) + Σ n_k E[log π_k]."""
        alpha = self.concentrations(counts)
        before = np.full_like(alpha, self.concentration)
        drawn = float(counts @ self.expected_logs(counts))
        return _log_normaliser(alpha) - _log_normaliser(before) + drawn


@dataclass(frozen=True)
class DirichletProcess:
    """π_k = v_k Π_{j<k} (1 − v_j), v_k ~ Beta(1, γ); components come in order of their sticks."""

    concentration: float

    def concentrations(self, counts: Array) -> Array:
        """1 + n_k, and γ + how many rows come after k, (2, K)."""
        after = np.concatenate([np.cumsum(counts[::-1])[-2::-1], [0.0]])
        return np.stack([1 + counts, self.concentration + after])

    def weights(self, counts: Array) -> Array:
        """Of the mean of every break, as scikit-learn has it."""
        a, b = self.concentrations(counts)
        left = np.cumprod(np.concatenate([[1.0], (b / (a + b))[:-1]]))
        mean: Array = a / (a + b) * left
        return mean / mean.sum()

    def expected_logs(self, counts: Array) -> Array:
        """E[log v_k] + Σ_{j<k} E[log (1 − v_j)]."""
        a, b = self.concentrations(counts)
        whole = digamma(a + b)
        left = np.cumsum(np.concatenate([[0.0], (digamma(b) - whole)[:-1]]))
        logs: Array = digamma(a) - whole + left
        return logs

    def divergence(self, counts: Array) -> float:
        """Σ_k KL(Beta(a_k, b_k) from Beta(1, γ))."""
        a, b = self.concentrations(counts)
        gamma, whole = self.concentration, digamma(a + b)
        each = betaln(1.0, gamma) - betaln(a, b)
        each = each + (a - 1) * (digamma(a) - whole) + (b - gamma) * (digamma(b) - whole)
        return float(each.sum())


def _log_normaliser(alpha: Array) -> float:
    return float(gammaln(alpha.sum()) - gammaln(alpha).sum())


WEIGHT_BELIEFS: Mapping[WeightProcess, type[WeightBelief]] = MappingProxyType(
    {"dirichlet_process": DirichletProcess, "dirichlet_distribution": Dirichlet}
)
