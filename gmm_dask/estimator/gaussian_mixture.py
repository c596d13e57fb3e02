"""GaussianMixture: a drop-in for scikit-learn's, for rows from anywhere."""

from __future__ import annotations

from typing import Any

from gmm_dask.estimator.given import checked
from gmm_dask.estimator.mixture_estimator import MixtureEstimator
from gmm_dask.estimator.parameters import ARRAY, Constraints, Parameters
from gmm_dask.mixture import criteria


class GaussianMixture(MixtureEstimator):
    """A Gaussian mixture fitted by EM; a drop-in for `sklearn.mixture.GaussianMixture`.

    Its parameters and attributes are scikit-learn's, where it has them; every other option of a
    `Configuration` (accelerate, relative_tol, degenerate, …) is one too. Beyond these:

    labels_init: a component for every row, as a start.
    checkpoint: a folder or URL in which the fit is kept; fitting again resumes it.
    cache: whether rows stay in memory ("auto", "memory", "none").
    callbacks: called with a `Progress` after every iteration.

    `fit` takes what `open_rows` takes and uses the active Dask client, if there is one; within a
    Dask task, as under joblib's dask backend, only the thread that the task has.

    With `noise` rows of a uniform background have the label −1, and their probability is the last
    column of `predict_proba`; `weights_` sum to 1 with `mixture_.noise.weight`.

    What differs from scikit-learn, and is meant:

    - `lower_bound_` is the mean log-likelihood of the fitted parameters themselves (there of the
      step before), so a fit ends a step earlier, at as many passes; `lower_bounds_` begin with
      that of the start. `accelerate=None` takes its very steps; the default takes fewer
      where `tol` is finer than 1e-3.
    - Starts are drawn otherwise, `n_init` are raced on a sample of rows, and components come in
      another order.
    - A degenerate component is lifted to a floor, and told in `fit_.history`; `degenerate="error"`
      raises.
    - Parameters are float32 where rows are, but computed, kept in `mixture_` and scored in float64.
    - Fitted attributes are views of `mixture_`, and cannot be assigned.
    """

    _declared = Parameters(
        without=("method",),
        own={f"{name}_init": (None, ARRAY) for name in ("weights", "means", "precisions")},
    )

    _parameter_constraints = Constraints(_declared)

    def __init__(self, *given: Any, **named: Any) -> None:
        self._set(given, named)

    __init__.__signature__ = _declared.constructor  # type: ignore[attr-defined]

    def bic(self, X: object) -> float:
        """Schwarz's criterion for rows; smaller is better."""
        return criteria.bic(self.mixture_, self._evaluated(X))

    def aic(self, X: object) -> float:
        """Akaike's criterion for rows; smaller is better."""
        return criteria.aic(self.mixture_, self._evaluated(X))

    def _start(self, features: int) -> dict[str, Any]:
        from gmm_dask.fitting.starts import GivenParameters

        given = {name: getattr(self, f"{name}_init") for name in ("weights", "means", "precisions")}
        if self._goes_on() or all(values is None for values in given.values()):
            return super()._start(features)
        known = checked(given, self.n_components, features, self.covariance_type)
        return {"initial": GivenParameters(**known), "labels": self.labels_init}
