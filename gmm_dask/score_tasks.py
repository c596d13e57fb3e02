"""What runs on workers when rows are scored: compute a block, write it, tell what was in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.rows import DataError, Policy, Table, Weights
from gmm_dask.chunked.scores import fill_scores
from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.store.score_array import ScoreArray
from gmm_dask.store.scores import ScoreGroup


@dataclass(frozen=True, eq=False)
class Statistics:
    """Of some blocks in order: COUNTS and rows per component, one line each; and what is wrong.

    Rows that cannot be scored are told of at the end, the first of all and how many blocks have
    such: until then all other blocks are written, and need not be again when the data are mended.
    """

    blocks: tuple[int, ...]
    lines: Array
    fault: str = ""
    faulty: int = 0

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.blocks + other.blocks,
            np.concatenate([self.lines, other.lines]),
            self.fault or other.fault,
            self.faulty + other.faulty,
        )


@dataclass(frozen=True, eq=False)
class Assignment:
    """What a task needs to know to score the blocks of its share and write them."""

    group: ScoreGroup
    mixture: Mixture
    threshold: float | None
    nonfinite: Policy
    address: str
    arrays: tuple[ScoreArray, ...]
    statistics: ScoreArray
    pending: tuple[int, ...]
    origin: int
    first_row: int
    block_rows: int

    def block_of(self, first_row: int) -> int:
        """Which block of the output begins at this row of the pass."""
        return self.pending[(first_row - self.origin) // self.block_rows]


def write_block(table: Table, weights: Weights, first_row: int, told: Assignment) -> Statistics:
    """Score one block and write it, its line of statistics last: that one says that it is done."""
    del weights
    block = told.block_of(first_row)
    start = block * told.block_rows
    columns = {array: _empty(array, len(table)) for array in told.arrays}
    named = {array.name: values for array, values in columns.items()}
    try:
        line = fill_scores(
            named,
            table,
            told.mixture,
            told.nonfinite,
            lambda i: f"{told.address}: row {told.first_row + start + i}",
            told.threshold,
        )
    except DataError as problem:
        return Statistics((), np.empty((0, told.statistics.columns or 0)), str(problem), 1)
    told.group.write(start, columns)
    told.group.write(block, {told.statistics: line[None]})
    return Statistics((block,), line[None])


def _empty(array: ScoreArray, rows: int) -> NDArray[Any]:
    shape = (rows,) if array.columns is None else (rows, array.columns)
    return np.empty(shape, array.dtype)


Flagging: TypeAlias = tuple[ScoreGroup, ScoreArray, float]


def flag_block(table: Table, weights: Weights, first_row: int, told: Flagging) -> int:
    """Write the outlier flags of one block of log densities."""
    del weights
    group, array, threshold = told
    group.write(first_row, {array: table[:, 0] < threshold})
    return len(table)
