"""What is asked for of a prior, in plain values. Imports no NumPy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf, isfinite
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from gmm_dask.mixture.refusals import Refusal

DEFAULT = "default"
"""The word for what is usual: Fraley and Raftery's prior (2007), which is mclust's own, or
scikit-learn's where the fit is variational."""

Method: TypeAlias = Literal["em", "variational"]
WeightProcess: TypeAlias = Literal["dirichlet_process", "dirichlet_distribution"]
PROCESSES: tuple[WeightProcess, ...] = get_args(WeightProcess)

T = TypeVar("T", bound="Prior | VariationalPrior")


@dataclass(frozen=True)
class Prior:
    """A conjugate normal–inverse-Wishart prior of means and covariances, for a fit's mode.

    μ_k | Σ_k ~ N(mean of the data, Σ_k / shrinkage), Σ_k ~ IW(dof, scale · var(X) / K^{2/D}); dof
    None is D + 2. Families without correlations have the mean of the variances instead.
    """

    shrinkage: float = 0.01
    dof: float | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.shrinkage < inf:
            raise Refusal(f"a prior's shrinkage must be a number from 0 up, not {self.shrinkage}")
        if self.dof is not None:
            _check_positive("dof", self.dof)
        _check_positive("scale", self.scale)


@dataclass(frozen=True)
class VariationalPrior:
    """What a variational fit believes before it sees rows; None follows from them.

    The weights' process is of this concentration (1/K) for each component, or for each stick that
    is broken; μ_k | Λ_k ~ N(mean, (shrinkage Λ_k)⁻¹), Λ_k ~ W(dof, covariance⁻¹); dof D, mean and
    covariance those of the data. scikit-learn's weight_concentration_prior_type,
    weight_concentration_prior, mean_precision_prior, degrees_of_freedom_prior, mean_prior and
    covariance_prior.
    """

    weights: WeightProcess = "dirichlet_process"
    concentration: float | None = None
    shrinkage: float = 1.0
    dof: float | None = None
    mean: tuple[float, ...] | None = None
    covariance: float | tuple[float, ...] | tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        if self.weights not in PROCESSES:
            raise Refusal(f"a prior's weights must be {' or '.join(PROCESSES)}, not {self.weights}")
        for name in ("concentration", "shrinkage", "dof"):
            value = getattr(self, name)
            if value is not None:
                _check_positive(name, value)
        for name in ("mean", "covariance"):
            if not _all_finite(getattr(self, name)):
                raise Refusal(f"a prior's {name} must be of finite numbers")


def said_prior(method: Method, text: str | None) -> Prior | VariationalPrior | None:
    """That of a method, as it is said: "default", or what differs from it, "dof=12,scale=0.5"."""
    if method == "variational":
        return _said(VariationalPrior, text or DEFAULT)
    return None if text is None else _said(Prior, text)


def _said(kind: type[T], text: str) -> T:
    if text == DEFAULT:
        return kind()
    known, values = [field.name for field in fields(kind)], dict[str, Any]()
    for part in re.split(r",\s*(?=[A-Za-z_]+\s*=)", text):
        name, equals, value = (word.strip() for word in part.partition("="))
        if name not in known or not equals or name in values:
            some = ", ".join(f"{one}={_KINDS.get(one, 'NUMBER')}" for one in known)
            raise Refusal(f"prior {text!r}: write {DEFAULT}, or some of {some} with commas between")
        try:
            values[name] = _value(name, value)
        except (ValueError, TypeError):
            raise Refusal(f"prior {text!r}: {name} must be a {_SAID.get(name, 'number')}") from None
    return kind(**values)


_KINDS = {"weights": "|".join(PROCESSES), "mean": "[NUMBERS]", "covariance": "[[NUMBERS]]"}
_SAID = {"mean": "list of numbers", "covariance": "number, or a list of numbers or of such lists"}


def _value(name: str, text: str) -> Any:
    if name == "weights":
        return text
    if name not in ("mean", "covariance"):
        return float(text)
    value = _numbers(json.loads(text))
    if name == "mean" and not isinstance(value, tuple):
        raise TypeError(name)
    return value


def _numbers(value: Any) -> Any:
    return tuple(_numbers(one) for one in value) if isinstance(value, list) else float(value)


def _all_finite(value: Any) -> bool:
    if value is None:
        return True
    return all(map(_all_finite, value)) if isinstance(value, tuple) else isfinite(value)


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < inf:
        raise Refusal(f"a prior's {name} must be a number above 0, not {value}")


def prior_text(prior: str | Mapping[str, Any] | None) -> str | None:
    """A prior as text, of a table of hyper-parameters too."""
    if prior is None or isinstance(prior, str):
        return prior
    said = (
        f"{name}={json.dumps(value) if isinstance(value, list | tuple) else value}"
        for name, value in prior.items()
        if value is not None
    )
    return ",".join(said) or DEFAULT
