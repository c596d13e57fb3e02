"""Rows that no fit ever sees, so that models can be compared on them.

Which they are depends on a row's index alone: a hash of it below the share. So a row that is held
back stays so however many rows are appended, however they are cut into blocks, and whoever asks;
and with a smaller share, the rows held back are some of those of a larger one. To a fit they are
rows of weight zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.rows import Block, Rows, Values, Weights, kept_rows
from gmm_dask.chunked.sample import row_keys
from gmm_dask.chunked.sources import Source
from gmm_dask.chunked.sources.protocol import Boundaries

STREAM = 0x68656C64
"""Other than the seeds that people choose, for samples are drawn by the same hash."""


def is_held_back(first_row: int, count: int, share: float) -> NDArray[np.bool_]:
    """Of rows from a global index on."""
    indices = np.arange(first_row, first_row + count, dtype=np.int64)
    return row_keys(STREAM, indices) < np.uint64(int(share * 2**64))


def held_back_rows(
    table: Values, weights: Weights, first_row: int, share: float, skipping: bool
) -> Block:
    """Those of a block, without the ones that the policy skips."""
    chosen = is_held_back(first_row, len(table), share)
    block = table[chosen], None if weights is None else weights[chosen]
    return kept_rows(*block) if skipping else block


def has_fitted_rows(rows: Rows, share: float) -> bool:
    """Whether any row is not held back: of very few, all may be."""
    return not is_held_back(rows.cuts[0], min(rows.shape[0], 10_000), share).all()


def without_held_back(rows: Rows, share: float) -> Rows:
    """The rows as a fit is to see them."""
    return replace(rows, weights=FittingWeights(rows.source.shape[0], share, rows.weights))


@dataclass(frozen=True, eq=False)
class FittingWeights:
    """Weights of a source of rows: zero where they are held back."""

    count: int
    share: float
    given: Source | None

    names = ("weight",)

    @property
    def address(self) -> str:
        return "held-back rows" if self.given is None else self.given.address

    @property
    def shape(self) -> tuple[int, int]:
        return self.count, 1

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float64)

    @property
    def lazy(self) -> bool:
        return self.given is not None and self.given.lazy

    def layouts(self) -> list[Boundaries]:
        return [] if self.given is None else self.given.layouts()

    def read(self, first: int, last: int) -> Values:
        fitted = ~is_held_back(first, last - first, self.share)[:, None]
        if self.given is None:
            return fitted.astype(np.float64)
        # Not a product: whatever is wrong with a weight is for the profile to find.
        given = np.asarray(self.given.read(first, last), dtype=np.float64)
        return np.where(fitted, given, 0.0)

    def verify(self, first: int, last: int) -> None:
        if self.given is not None:
            self.given.verify(first, last)

    def chunk_of(self, row: int, feature: int = 0) -> str:
        return "" if self.given is None else self.given.chunk_of(row, feature)

    def may_be_fill(self, first: int, table: Values) -> bool:
        return self.given is not None and self.given.may_be_fill(first, table)

    def select(self, columns: Sequence[int]) -> Source:
        del columns
        return self

    def restrict(self, first: int, last: int) -> Source:
        given = None if self.given is None else self.given.restrict(first, last)
        return replace(self, given=given)

    def fingerprint(self) -> dict[str, object]:
        given = None if self.given is None else self.given.fingerprint()
        return {"kind": "held back", "share": self.share, "given": given}
