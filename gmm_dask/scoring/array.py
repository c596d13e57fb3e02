"""One array of scores: its shape, its type, and what Zarr would write for some of its rows.

Chunks are encoded in memory, so that they can be written durably, and before there is an array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from gmm_dask.chunked.sources import Cells
from gmm_dask.scoring.conventions import attributes_of
from gmm_dask.scoring.densities import Scored

LARGEST_CHUNK = 64_000_000
_FILL = {"i": -1, "f": float("nan"), "b": False}
"""What a chunk that went missing would be read as: nothing that could be taken for a score."""


@dataclass(frozen=True)
class ScoreArray:
    """One array of the group: (rows,) or (rows, columns), in chunks of whole rows."""

    name: str
    dtype: str
    rows: int
    chunk_rows: int
    columns: int | None = None
    dimensions: tuple[str, ...] = ("row",)
    cells: Cells | None = None
    """Where rows are cells of a grid, which is stored as one, a chunk of it for each of theirs."""
    attributes: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def metadata(self) -> bytes:
        """What Zarr calls zarr.json."""
        stored: dict[str, Any] = {}
        self._create(stored)
        metadata: bytes = stored[f"{self.name}/zarr.json"].to_bytes()
        return metadata

    def encode(self, first: int, values: NDArray[Any]) -> dict[str, bytes]:
        """The keys and bytes of the chunks of these rows, which begin and end with a chunk."""
        stored: dict[str, Any] = {}
        array = self._create(stored)
        if self.cells is None:
            array[first : first + len(values)] = values
        else:
            number = self.cells.number(first)
            block = *self.cells.blocks[number], *values.shape[1:]
            array[self.cells.slices[number]] = values.reshape(block)
        return {key: stored[key].to_bytes() for key in self.keys(first, first + len(values))}

    def keys(self, first: int, last: int) -> list[str]:
        """The keys of the chunks that hold rows [first, last)."""
        end = "" if self.columns is None else "/0"
        if self.cells is not None:
            places = ("/".join(map(str, place)) for place in self.cells.places_of(first, last))
            return [f"{self.name}/c/{place}{end}" for place in places]
        numbers = range(first // self.chunk_rows, -(-last // self.chunk_rows))
        return [f"{self.name}/c/{number}{end}" for number in numbers]

    def decode(self, chunks: Mapping[str, bytes]) -> zarr.Array[Any]:
        """The array with these chunks alone."""
        make = default_buffer_prototype().buffer.from_bytes
        stored = {key: make(data) for key, data in chunks.items()}
        return self._create(stored)

    def _create(self, stored: dict[str, Any]) -> zarr.Array[Any]:
        width = () if self.columns is None else (self.columns,)
        cells = self.cells
        shape = (self.rows,) if cells is None else cells.shape
        chunks = (self.chunk_rows,) if cells is None else cells.blocks[0]
        return zarr.create_array(
            MemoryStore(stored),
            name=self.name,
            shape=(*shape, *width),
            chunks=(*chunks, *width),
            dtype=self.dtype,
            fill_value=_FILL[np.dtype(self.dtype).kind],
            compressors=[zarr.codecs.ZstdCodec(level=1), zarr.codecs.Crc32cCodec()],
            filters=None,
            dimension_names=self.dimensions,
            attributes=self.attributes or None,
            zarr_format=3,
            # Zarr leaves out chunks of fill values, and what is not there would seem undone.
            config={"write_empty_chunks": True},
        )


def chunk_length(block_rows: int, row_bytes: int) -> int:
    """Rows per chunk: those of a block, or an even part of them where the chunk grew too large."""
    wanted = max(1, -(-block_rows * row_bytes // LARGEST_CHUNK))
    even = (parts for parts in range(wanted, 16 * wanted) if block_rows % parts == 0)
    return block_rows // next(even, 1)


def even_length(block_rows: int, row_bytes: int) -> int:
    """Rows of a block that has even parts no larger than a chunk may be: these, or a few less."""
    if chunk_length(block_rows, row_bytes) * row_bytes <= LARGEST_CHUNK:
        return block_rows
    parts = -(-block_rows * row_bytes // LARGEST_CHUNK)
    return block_rows // parts * parts or block_rows


def score_array(
    name: str,
    *,
    rows: int,
    block_rows: int,
    mixture: Scored,
    top: int | None,
    dtype: str,
    cells: Cells | None = None,
) -> ScoreArray:
    """The array of this name, in chunks that are blocks or even parts of them, or of `cells`."""
    columns = {
        "probabilities": mixture.parts,
        "top_components": top,
        "top_probabilities": top,
    }.get(name)
    stored = {
        "labels": label_dtype(mixture.components),
        "top_components": label_dtype(mixture.components),
        "log_density": "float64",
        "outlier": "bool",
    }.get(name, dtype)
    across = {"probabilities": ("component",)}.get(name, ("place",) if columns else ())
    length = chunk_length(block_rows, np.dtype(stored).itemsize * (columns or 1))
    if cells is None:
        return ScoreArray(name, stored, rows, length, columns, ("row", *across))
    dimensions, told = (*cells.dims, *across), attributes_of(name, mixture)
    return ScoreArray(name, stored, rows, max(cells.lengths), columns, dimensions, cells, told)


def label_dtype(components: int) -> str:
    """The smallest signed integers that hold every label, and -1."""
    return str(np.min_scalar_type(-max(components, 2)))
