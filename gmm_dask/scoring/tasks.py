"""What runs on workers when rows are scored: compute a block, write it, tell what was in it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.rows import DataError, Policy, Values, Weights
from gmm_dask.mixture.arrays import Array
from gmm_dask.scoring.array import ScoreArray
from gmm_dask.scoring.densities import Scored, fill_scores, strip_rows
from gmm_dask.scoring.group import ScoreGroup


@dataclass(frozen=True, eq=False)
class BlockStatistics:
    """Of some blocks in order: COUNTS and rows per component, one line each; and what is wrong.

    Rows that cannot be scored are told of at the end, the first of all and how many blocks have
    such: until then all other blocks are written, and need not be again when the data are mended.
    """

    blocks: tuple[int, ...]
    lines: Array
    fault: str = ""
    faulty: int = 0

    def __add__(self, other: BlockStatistics) -> BlockStatistics:
        return BlockStatistics(
            self.blocks + other.blocks,
            np.concatenate([self.lines, other.lines]),
            self.fault or other.fault,
            self.faulty + other.faulty,
        )


@dataclass(frozen=True, eq=False)
class Assignment:
    """What a task needs to know to score the blocks of its share and write them."""

    group: ScoreGroup
    mixture: Scored
    threshold: float | None
    nonfinite: Policy
    address: str
    arrays: tuple[ScoreArray, ...]
    statistics: ScoreArray
    pending: tuple[int, ...]
    first_row: int
    starts: Sequence[int]
    begins: Sequence[int]
    """Rows at which blocks begin: in the output all of them, in the pass those that are pending."""

    def block_of(self, first_row: int) -> int:
        """Which block of the output begins at this row of the pass."""
        return self.pending[bisect_right(self.begins, first_row) - 1]


def write_block(
    table: Values, weights: Weights, first_row: int, assignment: Assignment
) -> BlockStatistics:
    """Score one block and write it, its line of statistics last: that one says that it is done."""
    del weights
    block = assignment.block_of(first_row)
    start = assignment.starts[block]
    trays = Trays.of(assignment, start, len(table))
    try:
        line = fill_scores(
            trays.columns,
            table,
            assignment.mixture,
            assignment.nonfinite,
            lambda i: f"{assignment.address}: row {assignment.first_row + start + i}",
            assignment.threshold,
        )
    except DataError as problem:
        return BlockStatistics(
            (), np.empty((0, assignment.statistics.columns or 0)), str(problem), 1
        )
    trays.clear()
    assignment.group.write(block, {assignment.statistics: line[None]})
    return BlockStatistics((block,), line[None])


@dataclass(eq=False)
class Tray:
    """Rows of an array from `first` on that are not written yet: less than a chunk and a strip."""

    array: ScoreArray
    first: int
    values: NDArray[Any]
    filled: int = 0

    @classmethod
    def of(cls, array: ScoreArray, first: int, rows: int) -> Tray:
        shape = (rows,) if array.columns is None else (rows, array.columns)
        return cls(array, first, np.empty(shape, array.dtype))

    @property
    def full(self) -> bool:
        """Whether a chunk can be written."""
        return self.filled >= self.array.chunk_rows

    def place(self, rows: int) -> NDArray[Any]:
        """Where the next rows belong, to be filled."""
        self.filled += rows
        return self.values[self.filled - rows : self.filled]

    def take(self, group: ScoreGroup) -> None:
        """Write the first chunk, and make room."""
        length = self.array.chunk_rows
        group.write(self.first, {self.array: self.values[:length]})
        self.first, self.filled = self.first + length, self.filled - length
        self.values[: self.filled] = self.values[length : length + self.filled].copy()


@dataclass(frozen=True, eq=False)
class Trays:
    """All arrays of a block, of which no more is held than is needed for whole chunks.

    Probabilities of many components are a thousand times what the block is.
    """

    group: ScoreGroup
    trays: tuple[Tray, ...]

    @classmethod
    def of(cls, assignment: Assignment, start: int, rows: int) -> Trays:
        strip = strip_rows(assignment.mixture)
        return cls(
            assignment.group,
            tuple(Tray.of(a, start, min(rows, a.chunk_rows + strip)) for a in assignment.arrays),
        )

    def columns(self, rows: int) -> dict[str, NDArray[Any]]:
        """Places for the next rows, once chunks that are full are written."""
        for tray in self.trays:
            while tray.full:
                tray.take(self.group)
        return {tray.array.name: tray.place(rows) for tray in self.trays}

    def clear(self) -> None:
        """Write what is left: of arrays whose chunks are blocks all of it, and at once."""
        for first in sorted({tray.first for tray in self.trays}):
            rest = (tray for tray in self.trays if tray.first == first)
            self.group.write(first, {tray.array: tray.values[: tray.filled] for tray in rest})


Flagging: TypeAlias = tuple[ScoreGroup, ScoreArray, float]


def flag_block(table: Values, weights: Weights, first_row: int, flagging: Flagging) -> int:
    """Write the outlier flags of one block of log densities."""
    del weights
    group, array, threshold = flagging
    group.write(first_row, {array: table[:, 0] < threshold})
    return len(table)
