"""JSON that gives back what was put in, and JSON that knows when it was tampered with.

Plain JSON has no NaN and no infinity, so those are written as `{"$float": "nan"}`; a dict whose
only key begins with `$` is wrapped, so that nothing a caller writes is mistaken for that form.
Finite floats are written with the shortest digits that give the same bits back.
"""

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from gmm_dask.store.errors import DamagedError

CHECKSUM = "checksum"


def to_json(value: object) -> bytes:
    """The value as strict JSON; tuples come back as lists, NumPy scalars as Python's."""
    text = json.dumps(_encode(value, "value"), indent=1, allow_nan=False)
    return text.encode("ascii") + b"\n"


def line_of_json(value: object) -> bytes:
    """The same on one line."""
    return json.dumps(_encode(value, "value"), allow_nan=False).encode("ascii") + b"\n"


def from_json(data: bytes) -> Any:
    """The inverse of `to_json`; ValueError where the bytes are no strict JSON."""
    try:
        return _decode(json.loads(data, parse_constant=_refuse_constant))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except (TypeError, AttributeError) as error:
        raise ValueError("a float or a wrapped dict in it is none") from error


def seal(content: Mapping[str, object]) -> bytes:
    """The content as JSON, with a checksum over itself as its last field."""
    if CHECKSUM in content:
        raise ValueError(f"{CHECKSUM!r} is the seal's own field")
    digest = hashlib.sha256(to_json(dict(content))).hexdigest()
    return to_json({**content, CHECKSUM: digest})


def unseal(data: bytes, key: str) -> dict[str, Any]:
    """The content of sealed bytes; DamagedError if a single bit differs from what was sealed."""
    try:
        content = from_json(data)
    except ValueError as error:
        raise DamagedError(f"{key} is damaged: it is no JSON ({error})") from error
    if not isinstance(content, dict) or CHECKSUM not in content:
        raise DamagedError(f"{key} is damaged: it carries no checksum")
    content.pop(CHECKSUM)
    # Sealing again and comparing bytes leaves no bit uncovered, not even white space.
    try:
        whole = seal(content) == data
    except RecursionError as error:
        raise DamagedError(f"{key} is damaged: nested too deeply") from error
    if not whole:
        raise DamagedError(f"{key} is damaged: its checksum does not fit its content")
    return content


def _encode(value: object, place: str) -> object:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, list | tuple):
        return [_encode(item, f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return _encode_mapping(value, place)
    raise TypeError(f"{place} is a {type(value).__name__}, which JSON does not hold")


def _encode_mapping(value: Mapping[Any, object], place: str) -> dict[str, object]:
    for name in value:
        if not isinstance(name, str):  # json would turn 1 into "1" without a word
            raise TypeError(f"{place} has the key {name!r}; only strings are keys in JSON")
    encoded = {name: _encode(item, f"{place}.{name}") for name, item in value.items()}
    if len(encoded) == 1 and next(iter(encoded)).startswith("$"):
        return {"$dict": encoded}
    return encoded


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and "$float" in value:
        return float(value["$float"])
    if len(value) == 1 and "$dict" in value:
        value = value["$dict"]
    # One string for a name, however many lines of a history have it: a third of its memory.
    return {sys.intern(name): _decode(item) for name, item in value.items()}


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
