"""Coordinates of cells as Zarr keeps them beside scores, in the way of xarray's own stores."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from zarr.storage import MemoryStore

from gmm_dask.chunked.sources import Cells, DataError
from gmm_dask.store.sealed import from_json

logger = logging.getLogger("gmm_dask")

ROOT = "zarr.json"


@dataclass(frozen=True, eq=False)
class Coordinates:
    """What is stored of them, key by key, and what the group says of them."""

    files: dict[str, bytes]
    attributes: dict[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the arrays."""
        return tuple(dict.fromkeys(key.partition("/")[0] for key in self.files))


def coordinates_of(cells: Cells | None, taken: Collection[str]) -> Coordinates:
    """Those of cells of a grid; none of a plain table."""
    if cells is None or not cells.gridded:
        return Coordinates({}, {})
    if cells.coords is None:
        logger.warning("xarray is not installed: scores are written without coordinates")
        return Coordinates({}, {})
    if clash := sorted(set(cells.coords) & set(taken)):
        raise DataError(f"coordinate {clash[0]!r} has the name of a score: rename it")
    stored: dict[str, Any] = {}
    held = cells.coords.to_dataset().compute()  # a worker would write them into its own memory
    sides = dict(zip(cells.dims, cells.blocks[0], strict=True))
    chunks = {
        n: {"chunks": tuple(map(sides.get, v.dims))} for n, v in held.coords.items() if v.ndim
    }
    try:
        held.drop_encoding().to_zarr(
            MemoryStore(stored), encoding=chunks, zarr_format=3, consolidated=False
        )
    except (NotImplementedError, TypeError, ValueError) as problem:
        raise DataError(f"coordinates of the cells cannot be stored: {problem}") from problem
    files = {key: value.to_bytes() for key, value in sorted(stored.items())}
    return Coordinates(files, from_json(files.pop(ROOT)).get("attributes", {}))
