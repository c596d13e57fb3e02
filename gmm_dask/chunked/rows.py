"""Any source of rows as a plan of blocks: validated here, read on workers.

Knows addresses, chunks and row indices; knows nothing of passes or mixtures. A row's *global
index* is its index in the source as stored, also where only a range of rows is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.nonfinite import Policy, Weights, kept_rows
from gmm_dask.chunked.sources import Cells, DataError, Source, Values, open_column, open_features
from gmm_dask.chunked.sources.outages import patiently
from gmm_dask.chunked.sources.plan import plan_cuts

__all__ = ["Block", "DataError", "Policy", "Rows", "Values", "Weights", "kept_rows", "open_rows"]

Block = tuple[Values, Weights]

TARGET_BYTES = 8_000_000
LARGEST_BYTES = 64_000_000
SMALL_BYTES, FEW_BLOCKS, ROWS_A_FEATURE = 2_000_000, 32, 32
"""What is less than FEW_BLOCKS of TARGET_BYTES is cut smaller, for as many threads to work at once;
to less than SMALL_BYTES only for two of them: a block costs a tenth of a millisecond by itself. It
also costs as many sums as there are covariances: a block of few rows has ROWS_A_FEATURE times D."""


@dataclass(frozen=True, eq=False)
class Rows:
    """N rows of D features in blocks: small to pickle, readable wherever the source is."""

    source: Source
    weights: Source | None
    cuts: tuple[int, ...]
    nonfinite: Policy = "error"
    missing_chunks: Literal["error", "fill"] = "error"
    first_block: int = 0
    cells: Cells | None = None

    @cached_property
    def shape(self) -> tuple[int, int]:
        return self.cuts[-1] - self.cuts[0], self.source.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.source.dtype

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self.source.names

    @cached_property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Global row ranges [first, last), in order."""
        return tuple(pairwise(self.cuts))

    @property
    def nbytes(self) -> int:
        """Bytes of all blocks as they are held in memory."""
        count, features = self.shape
        return count * (features * self.dtype.itemsize + (8 if self.weights is not None else 0))

    @property
    def lazy(self) -> bool:
        """True when blocks are inputs of Dask tasks rather than read by the worker itself."""
        return self.source.lazy or (self.weights is not None and self.weights.lazy)

    @property
    def gridded(self) -> bool:
        """True where rows are cells of a grid, in the order of its chunks."""
        return self.cells is not None and self.cells.gridded

    @property
    def skips(self) -> bool:
        """Whether there may be rows that are left out."""
        return self.nonfinite != "error"

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def describe(self) -> str:
        count, features = self.shape
        whole = "" if count == self.source.shape[0] else f" (rows {self.cuts[0]}–{self.cuts[-1]})"
        return f"{self.source.address}{whole}: {count} rows × {features} {self.dtype}"

    def read(self, index: int) -> Block:
        """Block `index`, shape (n, D), and its weights; without rows that the policy skips."""
        block = self.read_all(index)
        return kept_rows(*block) if self.skips else block

    def read_all(self, index: int) -> Block:
        """Block `index` with every row that is stored."""
        first, last = self.blocks[index]
        table = self._read(self.source, first, last)
        if self.weights is None:
            return table, None
        return table, as_weights(self._read(self.weights, first, last))

    def _read(self, source: Source, first: int, last: int) -> Values:
        what = f"rows {first}–{last} of {source.address}"
        table = patiently(lambda: source.read(first, last), what)
        # A chunk that went after the first pass would be numbers like any others.
        if self.missing_chunks == "error" and source.may_be_fill(first, table):
            patiently(lambda: source.verify(first, last), what)
        return table

    def verify(self, index: int) -> None:
        """Raise DataError when a chunk behind this block is absent."""
        if self.missing_chunks == "fill":
            return
        first, last = self.blocks[index]
        for source in (self.source, self.weights):
            if source is not None:
                look = partial(source.verify, first, last)
                patiently(look, f"the chunks of {source.address}")

    def share(self, first: int, last: int) -> Rows:
        """Blocks [first, last) alone: what a task that covers them has to be sent."""
        cuts = self.cuts[first : last + 1]
        span = cuts[0], cuts[-1]
        weights = None if self.weights is None else self.weights.restrict(*span)
        source = self.source.restrict(*span)
        place = self.first_block + first
        part = replace(self, cuts=cuts, source=source, weights=weights, first_block=place)
        return replace(part, cells=None)

    def fingerprint(self) -> dict[str, object]:
        """What must be equal for two runs to see the same rows in the same blocks."""
        plan = hashlib.sha256(np.asarray(self.cuts, "<i8").tobytes()).hexdigest()
        return {
            "source": self.source.fingerprint(),
            "weights": None if self.weights is None else self.weights.fingerprint(),
            "shape": list(self.shape),
            "dtype": self.dtype.str,
            "features": list(self.feature_names),
            "rows": [self.cuts[0], self.cuts[-1]],
            "blocks": {"count": len(self), "sha256": plan},
            "nonfinite": self.nonfinite,
            **({"cells": self.cells.fingerprint()} if self.gridded and self.cells else {}),
        }


def open_rows(
    source: object,
    *,
    array: str | None = None,
    columns: Sequence[str] | None = None,
    features: Sequence[int | str] | None = None,
    rows: slice | range | None = None,
    weights: object = None,
    missing_chunks: Literal["error", "fill"] = "error",
    nonfinite: Policy = "error",
    block_bytes: int | None = None,
    largest_block_bytes: int = LARGEST_BYTES,
    sample_dims: str | Sequence[str] | None = None,
    feature_dims: str | Sequence[str] | None = None,
) -> Rows:
    """Open any source as a plan of blocks; refuses what cannot be fitted, in one sentence.

    On a grid with names, rows lie along `sample_dims`, in the order of chunks, and all other
    dimensions, `feature_dims`, are features; cells that are NaN throughout are left out.

    `block_bytes` counts eight bytes per value, whatever the storage type; left out, rows are cut
    into blocks of 8 MB, or less where they are few.
    """
    _one_of("missing_chunks", missing_chunks, ("error", "fill"))
    _one_of("nonfinite", nonfinite, ("error", "skip"))
    table, cells = open_features(source, array, columns, sample_dims, feature_dims)
    gridded = cells is not None and cells.gridded
    if gridded and rows is not None:
        raise DataError("rows= of a grid has no meaning: choose cells with .isel or .sel")
    if features is not None:
        table = table.select(_positions(features, table))
    heights = None if weights is None else open_column(weights, source, cells, table.lazy)
    if heights is not None and heights.shape[0] != table.shape[0]:
        raise DataError(
            f"weights {heights.address} have {heights.shape[0]} entries and {table.address} has "
            f"{table.shape[0]} rows; pass one weight per stored row"
        )
    layouts = table.layouts() + ([] if heights is None else heights.layouts())
    first, last = _range(rows, table)
    row_bytes = 8 * table.shape[1]
    cuts = plan_cuts(
        first,
        last,
        layouts,
        row_bytes=row_bytes,
        target_bytes=block_bytes or usual_block((last - first) * row_bytes, row_bytes),
        largest_bytes=largest_block_bytes,
    )
    masked = gridded and nonfinite == "error"
    policy: Policy = "masked" if masked else nonfinite
    return Rows(table, heights, cuts, policy, missing_chunks, cells=cells)


def usual_block(nbytes: int, row_bytes: int) -> int:
    """Bytes of a block of rows that take `nbytes`: equal blocks, a power of two, of few rows."""
    small = max(SMALL_BYTES, ROWS_A_FEATURE * row_bytes**2 // 8)
    blocks = max(min(nbytes // small, FEW_BLOCKS), min(2 * nbytes // small, 2), 1)
    return min(TARGET_BYTES, -(-nbytes // 2 ** (blocks.bit_length() - 1)))


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise DataError(f"{name}={value!r} is not known; pass one of {', '.join(allowed)}")


def _positions(features: Sequence[int | str], table: Source) -> list[int]:
    if isinstance(features, str) or not isinstance(features, Iterable):
        raise DataError(f"features={features!r} must be a list of names or positions")
    positions = [_position(feature, table) for feature in features]
    if not positions or len(set(positions)) < len(positions):
        raise DataError(f"features={list(features)} must name at least one feature, each once")
    return positions


def _position(feature: int | str, table: Source) -> int:
    count = table.shape[1]
    if isinstance(feature, str):
        if feature not in table.names:
            listed = ", ".join(table.names[:20])
            raise DataError(f"{table.address} has no feature {feature!r}; it has {listed}")
        return table.names.index(feature)
    if isinstance(feature, bool | np.bool_) or not isinstance(feature, int | np.integer):
        raise DataError(
            f"features={feature!r} is no feature of {table.address}: name it, or give its position "
            "as a whole number"
        )
    if not -count <= feature < count:
        raise DataError(f"{table.address} has no feature {feature}; it has 0 to {count - 1}")
    return int(feature) % count


def _range(rows: slice | range | None, table: Source) -> tuple[int, int]:
    count = table.shape[0]
    if rows is None:
        return 0, count
    try:
        first, last, step = (
            (rows.start, rows.stop, rows.step) if isinstance(rows, range) else rows.indices(count)
        )
    except (AttributeError, TypeError):
        raise DataError(f"rows={rows!r} is no range of rows; pass slice(first, last)") from None
    if step != 1:
        raise DataError(f"rows={rows} has step {step}; pass a contiguous range")
    if not 0 <= first < last <= count:
        raise DataError(f"rows={rows} selects nothing of {table.address}, which has {count} rows")
    return first, last


def as_weights(column: Values) -> NDArray[np.float64]:
    return np.ascontiguousarray(column.reshape(-1), dtype=np.float64)
