"""Sections as TOML: written so that they can be done again, and read with every key checked."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from gmm_dask.settings.checks import checked, nearest
from gmm_dask.settings.declaration import NONE, options_of, sections_of
from gmm_dask.settings.errors import ConfigurationError


def written(whole: Any, named: str | None = None) -> list[str]:
    """`name = value` for every value, first those of the whole, then those of its sections."""
    lines = _lines(whole)
    if named is not None:
        lines = ["", f"[{named}]", *lines] if lines else []
    for name in sections_of(type(whole)):
        lines += written(getattr(whole, name), name)
    return lines


def read(text: str, whole: type, name: str) -> dict[str, Any]:
    """The nested values of a file, every key and type checked; `name` is for messages."""
    try:
        content = tomllib.loads(text)
    except ValueError as problem:  # also whole numbers of thousands of digits
        raise ConfigurationError(f"{name} is no TOML: {problem}") from None
    except RecursionError:
        raise ConfigurationError(f"{name} is nested too deeply for a configuration") from None
    sections, own = sections_of(whole), [option.name for option in options_of(whole)]
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key in sections:
            if not isinstance(value, dict):
                raise ConfigurationError(f"{name}: {key} is a section: write [{key}] and its keys")
            values[key] = checked(sections[key], value, f"{name}: [{key}]")
        elif key in own:
            values |= checked(whole, {key: value}, name)
        else:
            raise ConfigurationError(
                f"{name}: unknown key {key!r}{nearest(key, [*own, *sections])}"
            )
    return values


def _lines(section: Any) -> list[str]:
    """None is left out where it is the default anyway; of some sections, whatever is."""
    kind: Any = type(section)
    values = section.given() if hasattr(section, "given") else vars(section)
    return [
        line(option.name, values[option.name])
        for option in options_of(kind)
        if option.name in values and (values[option.name] is not None or option.default is not None)
    ]


def line(name: str, value: Any) -> str:
    """`name = value`."""
    return f"{name} = {_written(value)}"


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
        return quoted(value)
    return repr(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name)


def quoted(text: str) -> str:
    """As JSON writes it, but for DEL, which TOML takes for a control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
