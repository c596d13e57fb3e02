"""Parameters that a start is given, refused in scikit-learn's words: the parameter comes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from gmm_dask.estimator.attributes import FLOATS
from gmm_dask.mixture.covariance import family_named
from gmm_dask.mixture.covariance.positive import NotPositiveDefiniteError
from gmm_dask.mixture.refusals import Refusal

MOST_OFF = 1e-6
"""What weights may sum to beside 1: that of a sum in float32."""


Given: TypeAlias = Mapping[str, Any]


def checked(given: Given, components: int, features: int, family: str) -> Given:
    """The same as arrays of the right shapes, of which a mixture can be made."""
    kind = family_named(family)
    precision = f"{family} precision"
    weights = array_of(given["weights"], "weights", (components,))
    means = array_of(given["means"], "means", (components, features))
    precisions = array_of(given["precisions"], precision, kind.shape(components, features))
    if weights is not None:
        check_weights(weights)
    if precisions is not None and kind.layout.diagonal:
        if not (precisions > 0).all():
            raise Refusal(f"The parameter '{precision}' should be positive")
    elif precisions is not None and not positive_definite(precisions, family):
        raise Refusal(f"The parameter '{precision}' should be symmetric, positive-definite")
    return {"weights": weights, "means": means, "precisions": precisions}


def check_prior(given: Given, features: int, family: str) -> None:
    """Refuse hyper-parameters of which there is no distribution in so many features."""
    kind, dof = family_named(family), given["dof"]
    if dof is not None and not dof > features - 1:
        raise Refusal(
            f"The parameter 'degrees_of_freedom_prior' should be greater than {features - 1}, but "
            f"got {dof:.3f}."
        )
    array_of(given["mean"], "means", (features,))
    name, matrices = f"{family} covariance_prior", not kind.layout.diagonal
    shape = (features, features) if matrices else (features,) if family == "diag" else ()
    covariance = given["covariance"]
    if covariance is None or shape == ():
        return
    checked = array_of(covariance, name, shape)
    sound = checked is None or (
        positive_definite(checked, "tied") if matrices else (checked > 0).all()
    )
    if not sound:
        what = "symmetric, positive-definite" if matrices else "positive"
        raise Refusal(f"The parameter '{name}' should be {what}")


def array_of(values: Any, name: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """Finite numbers of this shape."""
    if values is None:
        return None
    array: NDArray[Any] = check_array(
        values, dtype=list(FLOATS), ensure_2d=False, allow_nd=True, input_name=name
    )
    if array.shape != shape:
        raise Refusal(
            f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}"
        )
    return array


def check_weights(weights: NDArray[Any]) -> None:
    """Refuse weights that are no probabilities."""
    if weights.min() < 0 or weights.max() > 1:
        raise Refusal(
            "The parameter 'weights' should be in the range [0, 1], but got max value "
            f"{weights.max():.5f}, min value {weights.min():.5f}"
        )
    if abs(weights.sum() - 1) > MOST_OFF:
        raise Refusal(
            "The parameter 'weights' should be normalized, but got sum(weights) = "
            f"{weights.sum():.5f}"
        )


def positive_definite(matrices: NDArray[Any], family: str) -> bool:
    """Whether these are symmetric, to rounding, and have Cholesky factors."""
    if not np.allclose(matrices, np.swapaxes(matrices, -1, -2)):
        return False
    try:
        family_named(family).factors(np.asarray(matrices, np.float64))
    except NotPositiveDefiniteError:
        return False
    return True
