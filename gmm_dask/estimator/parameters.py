"""Parameters of estimators: options of `Configuration` by scikit-learn's names, and our own."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from inspect import Parameter, Signature
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

from sklearn.utils._param_validation import Interval, StrOptions

from gmm_dask.settings.declaration import Option, options_of
from gmm_dask.settings.job import Job
from gmm_dask.settings.mixture import Configuration

CACHES = next(one for one in options_of(Job) if one.name == "cache").choices

ARRAY = ["array-like", None]
OWN: Mapping[str, tuple[Any, list[Any]]] = MappingProxyType(
    {
        "warm_start": (False, ["boolean"]),
        "verbose": (0, ["verbose"]),
        "verbose_interval": (10, [Interval(Integral, 1, None, closed="left")]),
        "labels_init": (None, [None, object]),
        "checkpoint": (None, [str, os.PathLike, None]),
        "cache": ("auto", [StrOptions(set(CACHES))]),
        "callbacks": (None, [list, tuple, None]),
    }
)
"""Parameters that every estimator has and no `Configuration`: defaults, and what they can be."""
SELF = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)


class Parameters:
    """Those of an estimator: options of a `Configuration` under scikit-learn's names but for some,
    and its own."""

    def __init__(self, without: Collection[str], own: Mapping[str, tuple[Any, list[Any]]]) -> None:
        self.options = tuple(one for one in options_of(Configuration) if one.name not in without)
        self.own = {**own, **OWN}
        self.signature = Signature(list(self._each()))
        self.defaults = {name: one.default for name, one in self.signature.parameters.items()}

    def _each(self) -> Iterator[Parameter]:
        for option in self.options:
            first = option.name == "components"
            default = option.default if option.sklearn.default is ... else option.sklearn.default
            kind = Parameter.POSITIONAL_OR_KEYWORD if first else Parameter.KEYWORD_ONLY
            yield Parameter(option.sklearn.name, kind, default=default)
        for name, (default, _) in self.own.items():
            yield Parameter(name, Parameter.KEYWORD_ONLY, default=default)

    def values(self, given: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter of a call, at its default where it is not given."""
        asked = {**dict(zip(self.defaults, given, strict=False)), **named}
        twice = len(asked) < len(given) + len(named)
        if len(given) > 1 or twice or not asked.keys() <= self.defaults.keys():
            self.signature.bind(*given, **named)  # which says what is wrong
        return {**self.defaults, **asked}

    @property
    def constructor(self) -> Signature:
        """That of the estimator's constructor, by which scikit-learn knows its parameters."""
        return Signature([SELF, *self.signature.parameters.values()])


CLOSED: Mapping[tuple[bool, bool], str] = MappingProxyType(
    {
        (True, True): "both",
        (True, False): "left",
        (False, True): "right",
        (False, False): "neither",
    }
)
"""scikit-learn's words for intervals whose least and whose greatest value are in, or are not."""


class Constraints:
    """What parameters can be, as scikit-learn checks them; families may be registered any time."""

    def __init__(self, declared: Parameters) -> None:
        self.declared = declared

    def __get__(self, instance: object, owner: type) -> dict[str, list[Any]]:
        options = self.declared.options
        return _constraints(
            self.declared, tuple(one.one_of.names() for one in options if one.one_of)
        )


@cache
def _constraints(declared: Parameters, known: tuple[tuple[str, ...], ...]) -> dict[str, list[Any]]:
    """Every fit asks for them; they are others once other names are known."""
    del known
    options = {one.sklearn.name: constraints_of(one) for one in declared.options}
    own = {name: allowed for name, (_, allowed) in declared.own.items()}
    return options | {"random_state": ["random_state"]} | own


def constraints_of(option: Option) -> list[Any]:
    """An option as scikit-learn says it."""
    none = [None] * option.optional
    words = option.choices or (() if option.one_of is None else option.one_of.names())
    if words:
        return [StrOptions(set(words)), *none]
    if option.kind not in (int, float):
        return [option.kind, *(() if option.said is None else option.said.kinds), *none]
    ends = option.bounds
    low, high = ends.get("ge", ends.get("gt")), ends.get("le", ends.get("lt"))
    sides = CLOSED["ge" in ends, "le" in ends]
    number = Integral if option.kind is int else Real
    return [Interval(number, low, high, closed=sides), *none]
