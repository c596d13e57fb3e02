"""Plans for what is written back: blocks of one length, and those that are still to be done.

A Zarr array has one chunk length; where every block has it too, each chunk is one block's to write.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np

from gmm_dask.chunked.borrowed.dask import concatenate
from gmm_dask.chunked.rows import Rows
from gmm_dask.chunked.sources import Source, Values
from gmm_dask.chunked.sources.dask_source import DaskSource
from gmm_dask.chunked.sources.protocol import Boundaries


def regular_blocks(rows: Rows) -> Rows:
    """The same rows in blocks of the plan's most common length, the last one perhaps shorter.

    Usually these are the plan's own. After a ragged one, or in a range that begins inside a
    chunk, blocks straddle chunks, and each reads one chunk more.
    """
    counted = Counter(last - first for first, last in rows.blocks)
    length = max(counted, key=lambda length: (counted[length], length))
    return blocks_of(rows, length)


def blocks_of(rows: Rows, length: int) -> Rows:
    """The same rows in blocks of this length, the last one perhaps shorter."""
    first, last = rows.cuts[0], rows.cuts[-1]
    return replace(rows, cuts=(*range(first, last, length), last))


def chosen_blocks(rows: Rows, chosen: Sequence[int]) -> Rows:
    """These blocks of a plan alone, in order, as one plan of rows counted from 0.

    The plan itself where all are chosen.
    """
    if len(chosen) == len(rows):
        return rows
    spans = [rows.blocks[i] for i in chosen]
    cuts = (0, *accumulate(last - first for first, last in spans))
    if isinstance(rows.source, DaskSource):
        array = concatenate([rows.source.array[first:last] for first, last in spans])
        return replace(rows, cuts=cuts, source=replace(rows.source, array=array))
    starts = tuple(first for first, _ in spans)
    return replace(rows, cuts=cuts, source=ChosenSource(rows.source, starts, cuts))


def begins(cuts: Sequence[int]) -> Sequence[int]:
    """Where blocks begin; a range where all but the last are of one length, which pickles small."""
    first, last = cuts[0], cuts[-1]
    regular = range(first, last, cuts[1] - first)
    return regular if tuple(regular) == tuple(cuts[:-1]) else tuple(cuts[:-1])


@dataclass(frozen=True, eq=False)
class ChosenSource:
    """Blocks of another source, read by their place among the chosen ones."""

    source: Source
    starts: tuple[int, ...]
    cuts: tuple[int, ...]

    lazy = False

    @property
    def address(self) -> str:
        return self.source.address

    @property
    def shape(self) -> tuple[int, int]:
        return self.cuts[-1], self.source.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.source.dtype

    @property
    def names(self) -> tuple[str, ...]:
        return self.source.names

    def layouts(self) -> list[Boundaries]:
        return []

    def read(self, first: int, last: int) -> Values:
        start = self._stored(first)
        return self.source.read(start, start + last - first)

    def verify(self, first: int, last: int) -> None:
        start = self._stored(first)
        self.source.verify(start, start + last - first)

    def chunk_of(self, row: int, feature: int) -> str:
        return self.source.chunk_of(self._stored(row), feature)

    def may_be_fill(self, first: int, table: Values) -> bool:
        return self.source.may_be_fill(self._stored(first), table)

    def select(self, columns: Sequence[int]) -> Source:
        return replace(self, source=self.source.select(columns))

    def restrict(self, first: int, last: int) -> Source:
        return replace(
            self, source=self.source.restrict(self._stored(first), self._stored(last - 1) + 1)
        )

    def fingerprint(self) -> dict[str, object]:
        return {"kind": "chosen", "starts": list(self.starts), "source": self.source.fingerprint()}

    def _stored(self, row: int) -> int:
        place = bisect_right(self.cuts, row) - 1
        return self.starts[place] + row - self.cuts[place]
