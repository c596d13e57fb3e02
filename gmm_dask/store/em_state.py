"""States of the EM loop as JSON and arrays, and back without losing a bit. No pickle.

Dataclasses become objects that name their type, arrays become references; an array that appears
twice is stored once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.acceleration import Memory
from gmm_dask.mixture.iteration import Candidate, EMState, Record
from gmm_dask.mixture.maximisation import Event
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.store.errors import DamagedError

TYPES: Mapping[str, type] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (EMState, Candidate, Record, Event, Memory, Mixture, SufficientStatistics)
    }
)


class _Encoder:
    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self.seen: dict[int, dict[str, Any]] = {}

    def encode(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, tuple):
            return [self.encode(item) for item in value]
        if id(value) in self.seen:
            return self.seen[id(value)]
        if isinstance(value, np.ndarray):
            name = f"a{len(self.arrays)}"
            self.arrays[name] = value
            self.seen[id(value)] = {"array": name}
            return self.seen[id(value)]
        kind = TYPES.get(type(value).__name__)
        if kind is not None and kind is type(value):
            content = {f.name: self.encode(getattr(value, f.name)) for f in fields(kind)}
            return {"type": kind.__name__, **content}
        raise TypeError(f"a checkpoint has no form for {type(value).__name__}")


def encode_state(state: EMState) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """A JSON-able dictionary, and the arrays that it refers to by name."""
    encoder = _Encoder()
    return encoder.encode(state), encoder.arrays


def decode_state(content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> EMState:
    """The state that was encoded; DamagedError names what does not belong there."""
    try:
        state = _decode(content, arrays)
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise DamagedError(f"a checkpoint holds no state of EM: {error}") from error
    if not isinstance(state, EMState):
        raise DamagedError(f"a checkpoint must hold an EMState, not a {type(state).__name__}")
    return state


def _decode(content: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(content, list):
        return tuple(_decode(item, arrays) for item in content)
    if not isinstance(content, Mapping):
        return content
    if "array" in content:
        if content["array"] not in arrays:
            raise DamagedError(f"the checkpoint lacks the array {content['array']!r}")
        return _read_only(arrays[content["array"]])
    kind = TYPES.get(str(content.get("type")))
    if kind is None:
        raise DamagedError(f"unknown type in a checkpoint: {content.get('type')!r}")
    values = {name: _decode(item, arrays) for name, item in content.items() if name != "type"}
    expected = {f.name for f in fields(kind)}
    if set(values) != expected:
        raise DamagedError(f"a checkpointed {kind.__name__} must have {sorted(expected)}")
    return kind(**values)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
