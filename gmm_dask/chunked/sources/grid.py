"""Variables on a grid as features of its cells: which dimensions are which, and what is named how.

`sample_dims=("time", "lat", "lon"), feature_dims="depth"` makes a row of each cell, of features
TEMP[depth=10.0], TEMP[depth=20.0], …, SALT[depth=10.0], …;
`cells.py` says in which order rows come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from gmm_dask.chunked.sources.protocol import DataError

Dims: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Variable:
    """An array with names for its dimensions, and labels along some of them."""

    name: str
    dims: Dims
    values: Any
    labels: Mapping[str, Any]

    def across(self, sample: Dims) -> Dims:
        """The dimensions of its features."""
        return tuple(dim for dim in self.dims if dim not in sample)

    def feature_names(self, sample: Dims) -> Iterator[str]:
        """TEMP[depth=10.0], …; its own name where it is one feature."""
        across = self.across(sample)
        if not across:
            yield self.name or "x0"
            return
        sizes = dict(zip(self.dims, self.values.shape, strict=True))
        labels = [[_told(x) for x in self.labels.get(d, range(sizes[d]))] for d in across]
        for one in product(*labels):
            where = (f"[{dim}={label}]" for dim, label in zip(across, one, strict=True))
            yield self.name + "".join(where)


def roles(
    variables: Sequence[Variable], sample_dims: object, feature_dims: object
) -> tuple[Dims, Dims]:
    """The dimensions of samples, and those of features: all the others, as the two must agree."""
    known = tuple(dict.fromkeys(dim for one in variables for dim in one.dims))
    features = named(feature_dims, "feature_dims", known)
    sample = named(sample_dims, "sample_dims", known)
    if sample is None:
        sample = tuple(dim for dim in known if dim not in (features or ()))
    others = tuple(dim for dim in known if dim not in sample)
    if features is not None and set(features) != set(others):
        odd = next(dim for dim in known if (dim in features) != (dim in others))
        both = "both" if odd in sample else "neither"
        raise DataError(
            f"dimension {odd!r} is in {both} of sample_dims and feature_dims; name it once"
        )
    if not sample:
        raise DataError("sample_dims is empty: name the dimensions that rows lie along")
    for one in variables:
        for dim in sample:
            if dim not in one.dims:
                raise DataError(
                    f"variable {one.name!r} has no dimension {dim!r}, which rows lie along: "
                    "broadcast it over the grid, or choose others with columns="
                )
    return sample, others


def named(dims: object, what: str, known: Dims) -> Dims | None:
    """Dimensions as they were asked for; refuses those that no variable has."""
    if dims is None:
        return None
    asked = (dims,) if isinstance(dims, str) else tuple(map(str, dims))  # type: ignore[call-overload]
    for dim in asked:
        if dim not in known:
            raise DataError(f"{what}: there is no dimension {dim!r}; there are {', '.join(known)}")
    if len(set(asked)) < len(asked):
        raise DataError(f"{what}={asked} names a dimension twice")
    return asked


def _told(label: object) -> str:
    """10.0, a name, or 2020-01-31 where no hour is meant."""
    if isinstance(label, np.datetime64):
        return str(np.datetime_as_string(label, unit="auto"))
    return str(label)
