"""To and from scikit-learn's GaussianMixture, which is imported only when asked for."""

from typing import TYPE_CHECKING, Any

import numpy as np

from gmm_dask.mixture.parameters import Mixture
from gmm_dask.store.model import Model

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture


def to_sklearn(model: Model | Mixture) -> "GaussianMixture":
    """A fitted GaussianMixture with these parameters, bit for bit."""
    from sklearn.mixture import GaussianMixture

    if isinstance(model, Mixture):
        model = Model(model)
    mixture = model.mixture
    fitted = GaussianMixture(mixture.components, covariance_type=mixture.family)
    for name in ("weights", "means", "covariances", "precisions"):
        setattr(fitted, f"{name}_", np.array(getattr(mixture, name)))
    fitted.precisions_cholesky_ = np.array(mixture.factors)
    fitted.n_features_in_ = mixture.features
    if model.feature_names is not None:
        fitted.feature_names_in_ = np.array(model.feature_names, dtype=object)
    _set_outcome(fitted, model.provenance)
    return fitted


def from_sklearn(fitted: "GaussianMixture") -> Mixture:
    """The mixture of a fitted GaussianMixture."""
    if not hasattr(fitted, "weights_"):
        raise ValueError("this GaussianMixture is not fitted: it has no weights_ yet")
    return Mixture(fitted.weights_, fitted.means_, fitted.covariances_, fitted.covariance_type)


def _set_outcome(fitted: Any, provenance: dict[str, Any]) -> None:
    fitted.converged_ = str(provenance.get("reason", "")).startswith("converged")
    fitted.n_iter_ = int(provenance.get("iterations", 0))
    fitted.lower_bound_ = float(provenance.get("mean_log_likelihood", np.nan))
    fitted.lower_bounds_ = [fitted.lower_bound_]
