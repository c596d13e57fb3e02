"""States of the EM loop as JSON and arrays, and back without losing a bit. No pickle.

Dataclasses become objects that name their type, arrays become references; an array that appears
twice is stored once. Of symmetric matrices the lower triangles are stored. What an acceleration
remembers does not change from state to state: arrays that checkpoints may share.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmm_dask.mixture.acceleration.chart import as_vector
from gmm_dask.mixture.acceleration.memory import Memory
from gmm_dask.mixture.covariance import family_named, layout_named
from gmm_dask.mixture.covariance.layouts import Layout
from gmm_dask.mixture.covariance.triangles import mirrored
from gmm_dask.mixture.iteration import Candidate, EMState, Record
from gmm_dask.mixture.maximisation import Event
from gmm_dask.mixture.noise import Noise
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.runs.checkpoint import SHARED
from gmm_dask.store.errors import DamagedError

TYPES: Mapping[str, type] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            *(EMState, Candidate, Record, Event, Memory, Mixture, Noise, SufficientStatistics),
        )
    }
)

BEFORE: Mapping[type, Mapping[str, Any]] = MappingProxyType(
    {
        Candidate: {"log_prior": 0.0},
        Memory: {"careful": False, "plain_gain": 0.0, "saved": 0.0},
        Mixture: {"noise": None},
        SufficientStatistics: {"noise": None},
    }
)
"""What fields meant before there were any: a run goes on as it began."""
ABSENT = "noise"
"""A field that is left out where it is None, as it was before there was any."""


@dataclass(frozen=True, eq=False)
class Triangles:
    """The lower triangles of symmetric matrices (..., D, D), made when they are written: one after
    the other, so that there are never all of them beside what is written."""

    matrices: NDArray[Any]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy  # it always is one
        packed = self.matrices[..., *np.tril_indices(self.matrices.shape[-1])]
        return packed.astype(dtype or packed.dtype, copy=False)


class _Encoder:
    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any] | Triangles] = {}
        self.seen: dict[int, dict[str, Any]] = {}

    def encode(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, Layout):
            return value.name
        if isinstance(value, tuple):
            return [self.encode(item) for item in value]
        if id(value) in self.seen:
            return self.seen[id(value)]
        if isinstance(value, np.ndarray):
            self.seen[id(value)] = self._array(value)
            return self.seen[id(value)]
        if isinstance(value, Candidate):
            self._remember(value)
        kind = TYPES.get(type(value).__name__)
        if kind is not None and kind is type(value):
            content = {
                f.name: self.encode(given)
                for f in fields(kind)
                if (given := getattr(value, f.name)) is not None or f.name != ABSENT
            }
            return {"type": kind.__name__, **content}
        raise TypeError(f"a checkpoint has no form for {type(value).__name__}")

    def _remember(self, candidate: Candidate) -> None:
        """What is remembered comes first: the newest of it are mixtures of the candidate."""
        memory = candidate.memory
        for vector in (*memory.here, *memory.there):
            if id(vector) not in self.seen:
                self.seen[id(vector)] = self._named(vector, SHARED)
        for mixture, vectors in ((candidate.mixture, memory.here), (candidate.plain, memory.there)):
            if mixture is not None and vectors and _is_vector_of(vectors[-1], mixture):
                self.seen[id(mixture)] = {
                    **self.seen[id(vectors[-1])],
                    "family": mixture.family,
                    "shape": [mixture.components, mixture.features],
                    **({} if mixture.noise is None else {ABSENT: self.encode(mixture.noise)}),
                }

    def _array(self, value: NDArray[Any]) -> dict[str, Any]:
        if not _symmetric(value):
            return self._named(value, "a")
        return {**self._named(Triangles(value), "a"), "symmetric": value.shape[-1]}

    def _named(self, value: NDArray[Any] | Triangles, prefix: str) -> dict[str, Any]:
        name = f"{prefix}{len(self.arrays)}"
        self.arrays[name] = value
        return {"array": name}


def encode_state(state: EMState) -> tuple[dict[str, Any], dict[str, NDArray[Any] | Triangles]]:
    """A JSON-able dictionary, and the arrays that it refers to by name."""
    encoder = _Encoder()
    return encoder.encode(state), encoder.arrays


def decode_state(content: Mapping[str, Any], arrays: Mapping[str, ArrayLike]) -> EMState:
    """The state that was encoded; DamagedError names what does not belong there."""
    try:
        state = _decode(content, arrays, {})
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise DamagedError(f"a checkpoint holds no state of EM: {error}") from error
    if not isinstance(state, EMState):
        raise DamagedError(f"a checkpoint must hold an EMState, not a {type(state).__name__}")
    return state


def _decode(content: Any, arrays: Mapping[str, ArrayLike], made: dict[str, Any]) -> Any:
    """`made`: arrays and mixtures so far, by what was said of them. What was one before is one
    again: the mixture of a step and of the next proposal, a hundred megabytes each."""
    if isinstance(content, list):
        return tuple(_decode(item, arrays, made) for item in content)
    if not isinstance(content, Mapping):
        return content
    if "array" not in content and content.get("type") != Mixture.__name__:
        return _made(content, arrays, made)
    said = json.dumps(content, sort_keys=True)
    if said not in made:
        made[said] = _made(content, arrays, made)
        if isinstance(made[said], Mixture):
            made[said].forget()
    return made[said]


def _made(content: Mapping[str, Any], arrays: Mapping[str, ArrayLike], made: dict[str, Any]) -> Any:
    if "array" in content:
        if content["array"] not in arrays:
            raise DamagedError(f"the checkpoint lacks the array {content['array']!r}")
        array = np.asarray(arrays[content["array"]])
        if "family" in content:
            noise = _decode(content.get(ABSENT), arrays, made)
            k, d = content["shape"]
            return _mixture(_read_only(array), content["family"], k, d, noise)
        return _read_only(
            _unpacked(array, content["symmetric"]) if "symmetric" in content else array
        )
    kind = TYPES.get(str(content.get("type")))
    if kind is None:
        raise DamagedError(f"unknown type in a checkpoint: {content.get('type')!r}")
    values = {name: _decode(item, arrays, made) for name, item in content.items() if name != "type"}
    values = {**BEFORE.get(kind, {}), **values}
    expected = {f.name for f in fields(kind)}
    if set(values) != expected:
        raise DamagedError(f"a checkpointed {kind.__name__} must have {sorted(expected)}")
    if kind is SufficientStatistics:
        values["layout"] = layout_named(values["layout"])
    return kind(**values)


def _is_vector_of(vector: NDArray[Any], mixture: Mixture) -> bool:
    """Whether the mixture is all in this vector, to the last bit."""
    if not mixture.diagonal and not _symmetric(mixture.covariances):
        return False
    return as_vector(mixture).tobytes() == vector.tobytes()


def _mixture(
    vector: NDArray[Any], family: str, k: int, d: int, noise: Noise | None = None
) -> Mixture:
    kind, parts = family_named(family), k + (noise is not None)
    weights, means, packed = np.split(vector, [parts, parts + k * d])
    covariances = kind.layout.unpack(packed, kind.shape(k, d))
    return Mixture(weights[:k], means.reshape(k, d), _read_only(covariances), family, noise)


def _symmetric(value: NDArray[Any]) -> bool:
    """Whether these are matrices of which the upper triangles tell nothing new, to the last bit."""
    if value.ndim < 2 or value.dtype != np.float64 or value.shape[-1] != value.shape[-2]:
        return False
    return mirrored(value)


def _unpacked(triangles: NDArray[Any], size: int) -> NDArray[Any]:
    """Symmetric matrices (..., D, D) of their lower triangles."""
    rows, columns = np.tril_indices(size)
    if triangles.shape[-1] != len(rows):
        raise DamagedError(f"{triangles.shape[-1]} numbers are no triangle of {size} rows")
    matrices = np.empty((*triangles.shape[:-1], size, size), triangles.dtype)
    matrices[..., rows, columns] = triangles
    matrices[..., columns, rows] = triangles
    return matrices


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
