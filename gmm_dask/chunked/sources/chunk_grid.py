"""How a Zarr array is cut into stored objects: chunks or shards, of one shape or of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gmm_dask.chunked.sources.protocol import MOST_CHUNKS, Boundaries, DataError, regular_boundaries

OF_CHUNKS, OF_SHARDS, LITTLE = 2, 8, 2**24
"""How much larger than declared a chunk or a shard may be as its codecs leave it; or so small."""


@dataclass(frozen=True, eq=False)
class Axis:
    """The cuts of one axis: every `step`, or at `edges` where steps differ; `step` is the longest.

    The last object may reach beyond the array.
    """

    length: int
    step: int
    edges: Boundaries | None = None

    def at(self, position: int) -> int:
        """The number of the object that holds this position."""
        if self.edges is None:
            return position // self.step
        return int(np.searchsorted(self.edges, position, side="right")) - 1

    def start(self, number: int) -> int:
        """Where an object begins."""
        return number * self.step if self.edges is None else int(self.edges[number])

    def declared(self, number: int) -> int:
        """How long an object is, what lies beyond the array included."""
        return self.start(number + 1) - self.start(number)

    def within(self, first: int, last: int) -> list[int]:
        """Where the objects begin that hold [first, last); the first of them at `first`."""
        numbers = range(self.at(first), self.at(last - 1) + 1)
        return [max(first, self.start(number)) for number in numbers]

    def boundaries(self) -> Boundaries:
        """0, …, length."""
        if self.edges is None:
            return regular_boundaries(self.length, self.step)
        inner = self.edges[self.edges < self.length]
        return np.append(inner, np.int64(self.length))


def axes_of(array: Any) -> tuple[Axis, ...]:
    """Of what is stored as one object each: shards where there are any, else chunks."""
    if (steps := _unlike_steps(array)) is not None:
        return tuple(map(_axis, array.shape, steps))
    grid = array.shards or array.chunks
    return tuple(Axis(int(n), int(step)) for n, step in zip(array.shape, grid, strict=True))


def most_stored(array: Any) -> int:
    """The bytes that a stored object of this array takes at the most."""
    declared = prod(axis.step for axis in axes_of(array)) * array.dtype.itemsize
    return max(declared * (OF_SHARDS if sharding_of(array) else OF_CHUNKS), LITTLE)


def is_regular(array: Any) -> bool:
    """Whether all stored objects have one shape."""
    return _unlike_steps(array) is None


def chunk_layout(array: Any) -> dict[str, list[Any] | None]:
    """Chunks and shards of an array, in JSON's types: a side an axis, or all its sides."""
    sharding = sharding_of(array)
    if (steps := _unlike_steps(array)) is None:
        sides: list[Any] = [axis.step for axis in axes_of(array)]
    else:
        sides = [one if isinstance(one, int) else list(one) for one in steps]
    if sharding is None:
        return {"chunks": sides, "shards": None}
    return {"chunks": list(sharding["chunk_shape"]), "shards": sides}


def sharding_of(array: Any) -> dict[str, Any] | None:
    """What the metadata say of shards, in the words of the format; None where there are none."""
    codecs = array.metadata.to_dict().get("codecs") or [{}]
    sharded = codecs[0].get("name") == "sharding_indexed"
    return dict(codecs[0]["configuration"]) if sharded else None


def _unlike_steps(array: Any) -> Sequence[Any] | None:
    """The declared sides of a rectilinear grid, an axis each."""
    grid = array.metadata.to_dict().get("chunk_grid") or {}
    if grid.get("name") != "rectilinear":
        return None
    sides: Sequence[Any] = grid["configuration"]["chunk_shapes"]
    return sides


def _axis(length: int, declared: Any) -> Axis:
    """One side for all, or a list of sides, in which [side, times] is a side repeated."""
    if isinstance(declared, int):
        return Axis(int(length), declared)
    runs = [(one, 1) if isinstance(one, int) else tuple(one) for one in declared]
    if (count := sum(times for _, times in runs)) > MOST_CHUNKS:
        raise DataError(
            f"an axis of {length} declares {count} chunks, beyond {MOST_CHUNKS}: store it in "
            "larger chunks"
        )
    sides = np.repeat(*np.array(runs, dtype=np.int64).T)
    edges = np.concatenate([[0], np.cumsum(sides)]).astype(np.int64)
    return Axis(int(length), int(sides.max()), edges)
