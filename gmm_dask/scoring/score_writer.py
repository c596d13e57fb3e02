"""Writing all that is missing of a group of scores: the blocks first, then flags, then the whole.

    rows ──▶ score(block, mixture) ──▶ chunks of labels, probabilities, log_density, outlier
                                  └──▶ block_statistics ──▶ the group's summary

Every block is one chunk of each array, so no two tasks write the same one, and a block that is
there is never computed again.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from distributed import Client

from gmm_dask.chunked.engines.choice import engine_over
from gmm_dask.chunked.rows import DataError, Rows, open_rows
from gmm_dask.mixture.arrays import Array
from gmm_dask.scoring.blocks import begins, chosen_blocks
from gmm_dask.scoring.group import ScoreGroup
from gmm_dask.scoring.layout import ScoreLayout
from gmm_dask.scoring.quantile import quantile as find_quantile
from gmm_dask.scoring.tasks import Assignment, BlockStatistics, flag_block, write_block
from gmm_dask.store.errors import StorageError
from gmm_dask.store.lock import Lock


@dataclass(frozen=True, eq=False)
class ScoreWriter:
    """A group, the layout of what belongs into it, and the cluster that computes it."""

    group: ScoreGroup
    layout: ScoreLayout
    client: Client | None

    def complete(self) -> dict[str, Any] | None:
        """The summary of scores that are all there."""
        done = self.group.finished()
        if done is None or self.missing() or self._unflagged():
            return None
        summary: dict[str, Any] = done["summary"]
        return summary

    def write(self, lock: Lock) -> tuple[dict[str, Any], int]:
        """All that is missing, while the lock keeps others out; a summary, and how many blocks."""
        done = self.complete()
        if done is not None:  # by another driver, a moment ago
            return done, 0
        group, layout = self.group, self.layout
        if group.finished() is not None:
            group.reopen([*layout.arrays, *layout.flags, layout.statistics])
        written, lines = self.write_blocks()
        lock.confirm()
        group.describe_arrays([*layout.arrays, layout.statistics])
        threshold, outliers, flagged = self.write_flags(lines)
        summary = _summary(layout, lines, threshold, outliers)
        lock.confirm()
        group.describe_arrays(layout.flags)
        group.keep(layout.coordinates.files)
        group.finish({**layout.coordinates.attributes, "summary": summary})
        return summary, max(written, flagged)

    def missing(self) -> set[int]:
        """The blocks that lack a chunk or their line of statistics."""
        layout = self.layout
        undone = self.group.missing([layout.statistics], range(len(layout.rows) + 1))
        return {*undone, *self.group.missing(layout.arrays, layout.cuts)}

    def _unflagged(self) -> list[int]:
        return self.group.missing(self.layout.flags, self.layout.cuts)

    def write_blocks(self) -> tuple[int, Array]:
        """Score the blocks that are missing; how many they were, and the statistics of all."""
        pending, count = self.missing(), len(self.layout.rows)
        present = [i for i in range(count) if i not in pending]
        lines = self.group.read_single(self.layout.statistics, present)
        pending |= {i for i in present if i not in lines}
        if pending:
            statistics = self._score(tuple(sorted(pending)))
            _refuse_faults(statistics)
            lines |= dict(zip(statistics.blocks, statistics.lines, strict=True))
        gone = self.missing()
        if gone:
            raise StorageError(
                f"{self.group.where}: {len(gone)} blocks that workers wrote are not there; scores "
                "need a place that all workers and this process share"
            )
        return len(pending), np.array([lines[i] for i in range(count)])

    def _score(self, pending: tuple[int, ...]) -> BlockStatistics:
        layout, rows = self.layout, self.layout.rows
        chosen = chosen_blocks(rows, pending)
        assignment = Assignment(
            self.group,
            layout.mixture,
            layout.options.threshold,
            rows.nonfinite,
            rows.source.address,
            layout.arrays,
            layout.statistics,
            pending,
            rows.cuts[0],
            begins(layout.cuts),
            begins(chosen.cuts),
        )
        with engine_over(chosen, self.client, "none") as (engine, _):
            # its factors made by one thread of BLAS, as on workers
            assignment = replace(assignment, mixture=copy(layout.mixture))
            return engine.map_reduce(
                write_block, assignment, name="score", every_row=True, verify=True
            )

    def write_flags(self, lines: Array) -> tuple[float | None, int | None, int]:
        """Threshold and number of outliers, and how many blocks were flagged by a second pass."""
        options = self.layout.options
        if options.quantile is None:
            counted = None if options.threshold is None else int(lines[:, 3].sum())
            return options.threshold, counted, 0
        where = self.group.where
        densities = self._densities()
        with engine_over(densities, self.client, "none") as (engine, _):
            threshold, outliers, count = find_quantile(engine, options.quantile)
        if count != int(lines[:, 0].sum()):
            raise StorageError(f"{where}: log_density is damaged; delete it and score again")
        pending = self._unflagged()
        # All blocks, also those that are there: no line of statistics says whose flags they are.
        flagging = (self.group, self.layout.flags[0], threshold)
        blocks = replace(densities, cuts=self.layout.cuts)
        with engine_over(blocks, self.client, "none") as (engine, _):
            engine.map_reduce(flag_block, flagging, name="flag", every_row=True)
        return threshold, outliers, len(pending)

    def _densities(self) -> Rows:
        """What was written of all rows, in their order."""
        where, cells = f"{self.group.where}/log_density", self.layout.cells
        if cells is None:
            return open_rows(where)
        return replace(open_rows(where, sample_dims=cells.dims), nonfinite="error")


def _refuse_faults(statistics: BlockStatistics) -> None:
    if statistics.fault:
        count = statistics.faulty
        others = f"; {count} blocks have such rows" if count > 1 else ""
        raise DataError(statistics.fault + others)


def _summary(
    layout: ScoreLayout, lines: Array, threshold: float | None, outliers: int | None
) -> dict[str, Any]:
    """Of all blocks: sums are exact, so it does not matter who computed which, nor when."""
    rows, skipped, density, _, *counts = (math.fsum(column) for column in lines.T)
    if not rows:
        raise DataError(f"{layout.rows.source.address}: none of {int(skipped)} rows is finite")
    return {
        "arrays": sorted(array.name for array in (*layout.arrays, *layout.flags)),
        "rows": int(rows),
        "skipped": int(skipped),
        "shares": [count / rows for count in counts],
        "mean_log_density": density / rows,
        "outliers": outliers,
        "outlier_threshold": threshold,
        "blocks": len(layout.rows),
    }
