"""What a fitted mixture is known by in scikit-learn, in the type of the rows it was fitted to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.parameters import Mixture

FLOATS = np.dtype(np.float64), np.dtype(np.float32)


class FittedAttributes:
    """Views of `mixture_`, which is float64 whatever the rows are."""

    _dtype: np.dtype[Any] = np.dtype(np.float64)

    @property
    def weights_(self) -> NDArray[Any]:
        """(K,)"""
        return self._typed(self._believed().weights)

    @property
    def means_(self) -> NDArray[Any]:
        """(K, D)"""
        return self._typed(self._fitted().means)

    @property
    def covariances_(self) -> NDArray[Any]:
        """(K, D, D), (D, D), (K, D) or (K,), as `covariance_type` says."""
        return self._typed(self._fitted().covariances)

    @property
    def precisions_(self) -> NDArray[Any]:
        """Inverse covariances, in the shape of `covariances_`."""
        return self._typed(self._fitted().precisions)

    @property
    def precisions_cholesky_(self) -> NDArray[Any]:
        """Upper triangular factors of the precisions, in the shape of `covariances_`."""
        return self._typed(self._fitted().factors)

    def _fitted(self) -> Mixture:
        mixture: Mixture | None = self.__dict__.get("mixture_")
        if mixture is None:
            raise AttributeError(f"this {type(self).__name__} is not fitted yet")
        return mixture

    def _believed(self) -> Mixture:
        """The mixture whose weights are those of the model."""
        return self._fitted()

    def _n_parameters(self) -> int:
        """Not public there either, but criteria that people write themselves ask for it."""
        return self._fitted().parameter_count

    def _typed(self, values: NDArray[Any]) -> NDArray[Any]:
        return values.astype(self._dtype, copy=False)


def floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type that scikit-learn computes rows of this one in."""
    return dtype if dtype in FLOATS else np.dtype(np.float64)
