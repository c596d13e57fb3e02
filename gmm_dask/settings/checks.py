"""Values held against their declarations, by pydantic; what is wrong is said in one sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

from gmm_dask.settings.declaration import NONE, Option, options_of
from gmm_dask.settings.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def check(section: Any) -> None:
    """Refuse a section of which a value is not what its declaration says; NumPy's numbers become
    Python's, which can be stored."""
    kind: Any = type(section)
    for option in options_of(kind):
        value = getattr(section, option.name)
        if value is option.default:
            continue
        if type(value).__module__ == "numpy" and value.ndim == 0:
            value = value.item()
            object.__setattr__(section, option.name, value)
        if option.said is not None and isinstance(value, option.said.kinds):
            value = option.said.text(value)
            object.__setattr__(section, option.name, value)
        _check(kind, option, value, option.name, "None")


def checked(section: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values of a section as a person wrote them: unknown names are refused with the nearest
    known one, and so is what is of another type or out of bounds."""
    options = {option.name: option for option in options_of(section)}
    taken = {}
    for name, value in values.items():
        if name not in options:
            raise ConfigurationError(f"{where}: unknown key {name!r}{nearest(name, options)}")
        taken[name] = meant(options[name], value)
        _check(section, options[name], taken[name], f"{where}: {name}", f'"{NONE}"')
    return taken


def meant(option: Option, value: Any) -> Any:
    """A value as Python has it: lists are tuples, whole numbers may be numbers, "none" is None."""
    if value == NONE and option.optional and NONE not in option.choices:
        return None
    if isinstance(value, list):
        return tuple(value)
    if option.said is not None and isinstance(value, option.said.kinds):
        return option.said.text(value)
    if option.kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 2**1023 else math.inf
    return value


def nearest(name: str, known: Iterable[str]) -> str:
    """Did you mean …, or all there are."""
    close = get_close_matches(name, known := list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def _check(section: type, option: Option, value: Any, where: str, none: str) -> None:
    from pydantic import ValidationError  # when something is checked: --help checks nothing

    try:
        _adapter(section, option.name).validate_python(value)
    except ValidationError as problem:
        refused = problem.errors()[0].get("ctx", {}).get("error")
        if isinstance(refused, ConfigurationError):
            raise refused from None
        expected = option.expected(none)
        raise ConfigurationError(f"{where} must be {expected}, not {value!r}") from None


@cache
def _adapter(section: type, name: str) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, TypeAdapter

    hint = get_type_hints(section, include_extras=True)[name]
    return TypeAdapter(hint, config=ConfigDict(strict=True, arbitrary_types_allowed=True))
