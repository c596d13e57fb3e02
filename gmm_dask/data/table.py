"""Tables of rows as Zarr v3 arrays that are not there, as far as Zarr knows, until all of them is.

Chunks are written in any order, from any process, each whole and with a checksum; metadata come
last. So the number of rows need not be known beforehand, and nobody mistakes a half-written table
for a whole one. The same on files and object stores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from gmm_dask.store.addresses import absolute
from gmm_dask.store.errors import KeyExistsError, StorageError
from gmm_dask.store.folder import Folder
from gmm_dask.store.location import Location, checked_name, open_folder
from gmm_dask.store.sealed import to_json

_ROOT, _WRITING = "zarr.json", "_writing.json"


@dataclass(frozen=True)
class TableArray:
    """One array, (rows,) or (rows, columns), in chunks of whole rows; without a name the root."""

    name: str
    dtype: str
    chunk_rows: int
    columns: int | None = None
    rows: int = 0
    compressed: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def chunk(self, number: int, values: NDArray[Any]) -> tuple[str, bytes]:
        """Key and bytes of a chunk; the last one may be short."""
        stored: dict[str, Any] = {}
        made = self.of((number + 1) * self.chunk_rows)._create(stored)
        first = number * self.chunk_rows
        made[first : first + len(values)] = values
        key = f"{self._prefix}c/{number}" + ("" if self.columns is None else "/0")
        return key, stored[key].to_bytes()

    def of(self, rows: int) -> TableArray:
        """The same array, once the number of its rows is known."""
        return replace(self, rows=rows)

    def metadata(self) -> tuple[str, bytes]:
        """Key and bytes of what Zarr calls zarr.json."""
        stored: dict[str, Any] = {}
        self._create(stored)
        key = f"{self._prefix}{_ROOT}"
        return key, stored[key].to_bytes()

    @property
    def _prefix(self) -> str:
        return f"{self.name}/" if self.name else ""

    def _create(self, stored: dict[str, Any]) -> zarr.Array[Any]:
        width = () if self.columns is None else (self.columns,)
        packed = [zarr.codecs.ZstdCodec(level=1)] if self.compressed else []
        return zarr.create_array(
            MemoryStore(stored),
            name=self.name or None,
            shape=(self.rows, *width),
            chunks=(self.chunk_rows, *width),
            dtype=self.dtype,
            fill_value=0 if np.dtype(self.dtype).kind in "iu" else float("nan"),
            compressors=[*packed, zarr.codecs.Crc32cCodec()],
            filters=None,
            attributes=dict(self.attributes),
            zarr_format=3,
            # Zarr leaves out chunks of fill values, and what is not there would seem lost.
            config={"write_empty_chunks": True},
        )


@dataclass(frozen=True)
class TableStore:
    """Arrays being written to one path or URL; pickles as its address."""

    where: str

    @classmethod
    def begin(cls, where: Location, *, overwrite: bool) -> TableStore:
        """An empty place to write to; what an interrupted writer left there is cleared."""
        checked_name(where)
        store = cls(absolute(str(where).rstrip("/")))
        folder = store.folder
        if folder.exists(_ROOT) and not overwrite:
            raise KeyExistsError(f"{store.where} exists already; --overwrite replaces it")
        present = folder.list()
        if present and not (folder.exists(_ROOT) or folder.exists(_WRITING)):
            raise StorageError(
                f"{store.where} is no Zarr store: it holds {present[0]}; give another name"
            )
        folder.replace(_WRITING, b"{}\n")
        folder.delete(_ROOT)
        for part in sorted({key.partition("/")[0] for key in present if "/" in key}):
            folder.discard(part)
        return store

    @property
    def folder(self) -> Folder:
        """Where keys go."""
        return open_folder(self.where)

    def write(self, array: TableArray, number: int, values: NDArray[Any]) -> None:
        """One chunk."""
        self.folder.replace(*array.chunk(number, values))

    def finish(
        self, arrays: Sequence[TableArray], attributes: Mapping[str, Any] | None = None
    ) -> None:
        """Make of the chunks the arrays that they are; a group is told of last."""
        folder = self.folder
        for array in arrays:
            folder.replace(*array.metadata())
        if any(array.name for array in arrays):
            group = {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes or {})}
            folder.replace(_ROOT, to_json(group))
        folder.delete(_WRITING)
