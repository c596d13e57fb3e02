"""Mixtures with scikit-learn's names, shapes and manners, for rows from anywhere.

Arrays, lists and data frames are validated as scikit-learn does it and answered in NumPy; paths,
URLs, Zarr, Dask and xarray go to `open_rows` and are answered with lazy Dask arrays, Dask data
frames with lazy series and frames of their index, and xarray objects with their own coordinates.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, estimator_html_repr
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from gmm_dask.estimator import elsewhere
from gmm_dask.estimator.attributes import FittedAttributes, floating
from gmm_dask.estimator.parameters import Parameters
from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.settings.mixture import Configuration

if TYPE_CHECKING:
    from gmm_dask.chunked.rows import Rows
    from gmm_dask.fitting.result import Fit
    from gmm_dask.fitting.run_loop import Callback
    from gmm_dask.mixture.statistics import SufficientStatistics

LARGEST_SEED = np.iinfo(np.int32).max


class MixtureEstimator(FittedAttributes, DensityMixin, BaseEstimator):  # type: ignore[misc]
    """What estimators of mixtures share: each declares its parameters, and says where it begins."""

    _declared: ClassVar[Parameters]

    def _set(self, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        """Every parameter of a call, unchecked, as scikit-learn wants it."""
        for name, value in self._declared.values(given, named).items():
            setattr(self, name, value)

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: object,
        y: object = None,  # noqa: ARG002
        sample_weight: object = None,
        *,
        sample_dims: elsewhere.Dims = None,
        feature_dims: elsewhere.Dims = None,
    ) -> Self:
        """Fit to rows (N, D) from anywhere; `sample_weight` is an array or anything 1-D alike.

        Cells of an xarray object's `sample_dims` are rows, all that lies along others features.
        """
        from gmm_dask.fitting.fit import fit

        dims = {"sample_dims": sample_dims, "feature_dims": feature_dims}
        rows = self._rows_to_fit(X, sample_weight, dims)
        fitted = fit(
            rows,
            self._configuration(),
            **self._start(rows.shape[1]),
            cache=self.cache,
            run=self.checkpoint,
            callbacks=tuple(self.callbacks or ()) + self._verbose_callbacks(),
        )
        if elsewhere.is_elsewhere(X):
            self._learn_features(rows)
        self._grid = elsewhere.grid_of(rows)
        self._learn(fitted)
        self._dtype = floating(rows.dtype)
        if not fitted.converged and self.max_iter > 0:
            warnings.warn(
                "Best performing initialization did not converge. Try different init parameters, "
                "or increase max_iter, tol, or check for degenerate data. "
                f"{self.max_iter} iterations are done.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def fit_predict(
        self, X: object, y: object = None, sample_weight: object = None, **dims: Any
    ) -> Any:
        """Fit, and the most probable component of each row."""
        return self.fit(X, y, sample_weight, **dims).predict(X)

    def predict(self, X: object) -> Any:
        """The most probable component of each row, (N,); −1 for noise."""
        return self._answer(X, "labels")

    def predict_proba(self, X: object) -> Any:
        """Responsibilities, (N, K); with noise one column more."""
        return self._answer(X, "responsibilities")

    def score_samples(self, X: object) -> Any:
        """log p(x) of each row, (N,)."""
        return self._answer(X, "log_density")

    def score(self, X: object, y: object = None) -> float:  # noqa: ARG002
        """The mean log-likelihood of rows."""
        return self._evaluated(X).mean_log_likelihood

    def sample(self, n_samples: int = 1) -> tuple[Array, Indices]:
        """Rows drawn from the mixture, grouped by component, and their components."""
        check_is_fitted(self)
        if n_samples < 1:
            raise Refusal(
                f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one "
                "sample."
            )
        random = np.random.default_rng(self._seed())
        rows, labels = self._believed().sample(n_samples, random)
        order = np.argsort(labels, kind="stable")
        return rows[order], labels[order]

    @classmethod
    @cache
    def _get_param_names(cls) -> list[str]:
        """As scikit-learn finds them, which takes as long as an iteration over few rows."""
        names: list[str] = super()._get_param_names()
        return names

    def _validate_params(self) -> None:
        """As scikit-learn does it, but for defaults, which nobody need check."""
        values = self.get_params(deep=False).items()
        given = {
            name: value
            for name, value in values
            if value is not self._declared.defaults.get(name, ...)
        }
        validate_parameter_constraints(self._parameter_constraints, given, type(self).__name__)

    def _learn(self, fitted: Fit) -> None:
        self.mixture_ = fitted.mixture
        names = getattr(self, "feature_names_in_", fitted.feature_names)
        self.fit_ = replace(fitted, feature_names=tuple(map(str, names)))
        self.converged_ = fitted.converged
        self.n_iter_ = fitted.iterations
        self.n_passes_ = fitted.passes
        self.lower_bound_ = fitted.mean_log_likelihood
        self.lower_bounds_ = [entry["mean_log_likelihood"] for entry in fitted.history]

    def _configuration(self) -> Configuration:
        options = self._declared.options
        values = {one.name: getattr(self, one.sklearn.name) for one in options}
        return Configuration(**values | {"seed": self._seed()})

    def _seed(self) -> int:
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(LARGEST_SEED))

    def _start(self, features: int) -> dict[str, Any]:  # noqa: ARG002
        """What is given of a start."""
        if self._goes_on():
            return {"initial": self._carried()}
        return {"labels": self.labels_init}

    def _carried(self) -> Mixture:
        """Where a fit goes on that is warm."""
        return self.mixture_

    def _goes_on(self) -> bool:
        return bool(self.warm_start) and self.__sklearn_is_fitted__()

    def _learn_features(self, rows: Rows) -> None:
        """As scikit-learn does it: names only where the source has some of its own."""
        from gmm_dask.chunked.sources.protocol import default_names

        self.n_features_in_ = rows.shape[1]
        if rows.feature_names != default_names(rows.shape[1]):
            self.feature_names_in_ = np.array(rows.feature_names, dtype=object)
        else:
            self.__dict__.pop("feature_names_in_", None)

    def _rows_to_fit(
        self, X: object, sample_weight: object, dims: Mapping[str, elsewhere.Dims]
    ) -> Rows:
        if elsewhere.is_elsewhere(X) or any(dims.values()):
            rows = elsewhere.opened(X, sample_weight, **dims)
            if self._goes_on():
                self._check_names(rows.feature_names, rows.source.address)
            return rows
        table = validate_data(
            self,
            X,
            dtype=[np.float64, np.float32],
            ensure_min_samples=2,
            reset=not self._goes_on(),
        )
        if len(table) < self.n_components:
            raise Refusal(
                f"Expected n_samples >= n_components but got n_components = {self.n_components}, "
                f"n_samples = {len(table)}"
            )
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, table, dtype=np.float64, ensure_non_negative=True
            )
        return elsewhere.opened(table, sample_weight)

    def _answer(self, X: object, what: str) -> Any:
        check_is_fitted(self)
        if elsewhere.is_elsewhere(X):
            return self._lazy_answer(X, what)
        table = self._validated(X)
        answer = getattr(self.mixture_, what)(table)
        if answer.dtype.kind != "f":
            return answer
        return answer.astype(np.result_type(table, self._dtype), copy=False)

    def _lazy_answer(self, X: object, what: str) -> Any:
        names = elsewhere.names_of_frame(X)
        if names is None:
            return elsewhere.asked(what, self._checked_rows(X), self.mixture_)
        self._check_names(names, "the Dask data frame")
        return elsewhere.asked(what, X, self.mixture_)

    def _evaluated(self, X: object) -> SufficientStatistics:
        from gmm_dask.fitting.fit import evaluate

        check_is_fitted(self)
        rows = self._checked_rows(X) if elsewhere.is_elsewhere(X) else self._validated(X)
        return evaluate(rows, self.mixture_)

    def _validated(self, X: object) -> Array:
        return validate_data(self, X, dtype=[np.float64, np.float32], reset=False)

    def _checked_rows(self, X: object) -> Rows:
        rows = elsewhere.opened_alike(X, self._grid, getattr(self, "feature_names_in_", None))
        self._check_names(rows.feature_names, rows.source.address)
        return rows

    def _check_names(self, given: Sequence[str], address: str) -> None:
        """Refuse other features than those that were fitted, as `gmm_dask.score` does."""
        from gmm_dask.scoring.features import check_features

        if len(given) != self.n_features_in_:
            raise Refusal(
                f"X has {len(given)} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        known = getattr(self, "feature_names_in_", None)
        check_features(address, given, self.n_features_in_, known)

    def _verbose_callbacks(self) -> tuple[Callback, ...]:
        if not self.verbose:
            return ()
        from gmm_dask.fitting.journal import iteration_line

        def tell(progress: Any) -> None:
            if progress.state.iteration % self.verbose_interval == 0:
                print(iteration_line(progress.entry), file=sys.stderr)  # noqa: T201  asked for

        return (tell,)

    def _repr_html_(self) -> str:
        """The parameters as scikit-learn shows them; the components below, once fitted."""
        diagram: str = estimator_html_repr(self)
        return diagram + (self.fit_._repr_html_() if self.__sklearn_is_fitted__() else "")

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:  # noqa: ARG002
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def __sklearn_is_fitted__(self) -> bool:
        return "mixture_" in self.__dict__
