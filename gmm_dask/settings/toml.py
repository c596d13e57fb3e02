"""Fields of dataclasses as plain values: checked by name and type, and written as TOML.

Knows annotations; knows nothing of what the fields mean.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from gmm_dask.settings.configuration import ConfigurationError

NONE = "none"
"""What stands in a file for None where None is not the default: TOML has no word for it."""


def checked(
    values: Mapping[str, Any], expected: type | Mapping[str, Any], where: str
) -> dict[str, Any]:
    """The values by field, unknown names refused with the nearest known one, and wrong types."""
    hints = dict(expected) if isinstance(expected, Mapping) else get_type_hints(expected)
    found = {}
    for name, value in values.items():
        if name not in hints:
            raise ConfigurationError(f"{where}: unknown key {name!r}{nearest(name, list(hints))}")
        found[name] = _converted(value, hints[name], f"{where}: {name}")
    return found


def nearest(name: str, known: Sequence[str]) -> str:
    """Did you mean …, or all there are."""
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def _converted(value: Any, hint: Any, where: str) -> Any:
    if value == NONE and _fits(None, hint):
        return None
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(value, int) and not isinstance(value, bool) and _fits(0.5, hint):
        value = float(value) if abs(value) < 2**1023 else math.inf
    if not _fits(value, hint):
        raise ConfigurationError(f"{where} must be {_told(hint)}, not {value!r}")
    return value


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if origin is tuple:
        return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    if origin is Mapping:
        return isinstance(value, Mapping)
    return isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool)


def _told(hint: Any) -> str:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return " or ".join(_told(one) for one in get_args(hint))
    if origin is Literal:
        return " or ".join(get_args(hint))
    if origin is tuple:
        return "a list of names"
    if origin is Mapping:
        return "a table of names and values"
    names = {int: "a whole number", float: "a number", str: "text", NoneType: '"none"'}
    return names.get(hint, str(hint))


def toml_lines(
    values: Mapping[str, Any], described: type | None = None, section: str | None = None
) -> list[str]:
    """`name = value` for every value; None is left out where it is the default anyway."""
    defaults = _defaults(described)
    lines = [
        f"{name} = {_written(value)}"
        for name, value in values.items()
        if value != {} and (value is not None or defaults.get(name) is not None)
    ]
    if section is None:
        return lines
    return ["", f"[{section}]", *lines] if lines else []


def _defaults(described: type | None) -> dict[str, Any]:
    if described is None or not is_dataclass(described):
        return {}
    return {f.name: f.default for f in fields(described) if f.default is not MISSING}


def _written(value: Any) -> str:
    if value is None:
        return json.dumps(NONE)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_written(one) for one in value) + "]"
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{_key(name)} = {_written(one)}" for name, one in value.items()) + "}"
        )
    if isinstance(value, str):
        return _quoted(value)
    return repr(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    """As JSON writes it, but for DEL, which TOML takes for a control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
