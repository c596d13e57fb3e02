"""BayesianGaussianMixture: a drop-in for scikit-learn's, for rows from anywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, Real, StrOptions

from gmm_dask.estimator.given import check_prior
from gmm_dask.estimator.mixture_estimator import MixtureEstimator
from gmm_dask.estimator.parameters import ARRAY, Constraints, Parameters
from gmm_dask.fitting.result import Fit
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.prior import PROCESSES, prior_text
from gmm_dask.mixture.variational import (
    SPHERICAL,
    Posterior,
    Variational,
    covariance_before,
)
from gmm_dask.settings.mixture import Configuration

POSITIVE = [None, Interval(Real, 0.0, None, closed="neither")]
PRIOR = {
    "weights": "weight_concentration_prior_type",
    "concentration": "weight_concentration_prior",
    "shrinkage": "mean_precision_prior",
    "mean": "mean_prior",
    "dof": "degrees_of_freedom_prior",
    "covariance": "covariance_prior",
}
"""scikit-learn's names of what a prior is asked for by."""


class BayesianGaussianMixture(MixtureEstimator):
    """A variational Gaussian mixture; a drop-in for `sklearn.mixture.BayesianGaussianMixture`.

    Its parameters and attributes are scikit-learn's, where it has them; every other option of a
    `Configuration` is one too, as in `GaussianMixture`, and so is what differs there. Beyond that:

    - `lower_bound_` is the whole bound of the evidence, with the constants that are left out there,
      and `tol` is of it. `lower_bounds_` are those of every iteration.
    - `mixture_` is an ordinary mixture of the same responsibilities, for scores of any store;
      `score_samples` is its log-density and a constant, as there.
    - `covariance_type` is full, tied, diag or spherical.
    """

    _declared = Parameters(
        without=("method", "prior", "noise"),
        own={
            "weight_concentration_prior_type": (PROCESSES[0], [StrOptions(set(PROCESSES))]),
            "weight_concentration_prior": (None, POSITIVE),
            "mean_precision_prior": (None, POSITIVE),
            "mean_prior": (None, ARRAY),
            "degrees_of_freedom_prior": (None, POSITIVE),
            "covariance_prior": (None, [*ARRAY, POSITIVE[1]]),
        },
    )

    _parameter_constraints = Constraints(_declared)

    def __init__(self, *given: Any, **named: Any) -> None:
        self._set(given, named)

    __init__.__signature__ = _declared.constructor  # type: ignore[attr-defined]

    @property
    def weight_concentration_(self) -> Any:
        """(K,); of a process the two parameters of every break of the stick."""
        concentration = self._typed(self._posterior().weight_concentration)
        return concentration if concentration.ndim == 1 else tuple(concentration)

    @property
    def mean_precision_(self) -> NDArray[Any]:
        """(K,)"""
        return self._typed(self._posterior().mean_precision)

    @property
    def degrees_of_freedom_(self) -> Any:
        """(K,); of tied covariances a number."""
        dof = self._typed(self._posterior().dof)
        return dof[0] if self._fitted().kind.shared else dof

    def score(self, X: object, y: object = None) -> float:
        """The mean of `score_samples`."""
        return super().score(X, y) + self._posterior().log_total

    def _posterior(self) -> Posterior:
        self._fitted()
        posterior = self.fit_.posterior
        assert posterior is not None
        return posterior

    def _believed(self) -> Mixture:
        mixture = self._fitted()
        weights = self._posterior().weights
        return Mixture(weights, mixture.means, mixture.covariances, mixture.family)

    def _carried(self) -> Mixture:
        return self._posterior().mixture

    def _configuration(self) -> Configuration:
        prior = prior_text({name: listed(getattr(self, theirs)) for name, theirs in PRIOR.items()})
        return replace(super()._configuration(), method="variational", prior=prior)

    def _start(self, features: int) -> dict[str, Any]:
        given = {name: getattr(self, theirs) for name, theirs in PRIOR.items()}
        check_prior(given, features, self.covariance_type)
        return super()._start(features)

    def _answer(self, X: object, what: str) -> Any:
        answer = super()._answer(X, what)
        return answer + self._posterior().log_total if what == "log_density" else answer

    def _learn(self, fitted: Fit) -> None:
        super()._learn(fitted)
        weight, posterior = fitted.statistics.weight, self._posterior()
        self.lower_bound_ = weight * fitted.objective
        self.lower_bounds_ = [weight * entry["objective"] for entry in fitted.history]
        prior, kind = posterior.prior, posterior.mixture.kind
        rows = Variational(prior, weight).pseudo_rows(fitted.statistics, kind)
        covariance = covariance_before(prior, fitted.statistics, kind)
        self.weight_concentration_prior_ = posterior.of_weights.concentration
        self.mean_precision_prior_ = prior.shrinkage
        self.mean_prior_ = self._typed(rows.mean)
        self.degrees_of_freedom_prior_ = posterior.dof_before
        self.covariance_prior_ = (
            float(covariance[0]) if kind.name == SPHERICAL else self._typed(covariance)
        )


def listed(value: Any) -> Any:
    """Arrays as lists, which a configuration is of."""
    return np.asarray(value, np.float64).tolist() if np.ndim(value) else value
