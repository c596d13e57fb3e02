"""How scores are laid out: which arrays, in chunks of which rows, and what they are scores of."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from gmm_dask.chunked.rows import DataError, Rows
from gmm_dask.chunked.sources import Cells
from gmm_dask.scoring.array import ScoreArray, even_length, score_array
from gmm_dask.scoring.blocks import blocks_of, regular_blocks
from gmm_dask.scoring.coordinates import Coordinates, coordinates_of
from gmm_dask.scoring.densities import COUNTS, Scored
from gmm_dask.scoring.merging.merged import MergedMixture
from gmm_dask.settings.scores import ScoreOptions


@dataclass(frozen=True, eq=False)
class ScoreLayout:
    """The arrays that a mixture's scores of rows in regular blocks become."""

    mixture: Scored
    rows: Rows
    options: ScoreOptions

    @property
    def block_rows(self) -> int:
        first, last = self.rows.blocks[0]
        return last - first

    @property
    def cuts(self) -> tuple[int, ...]:
        """Where blocks begin in the output."""
        return tuple(cut - self.rows.cuts[0] for cut in self.rows.cuts)

    @cached_property
    def cells(self) -> Cells | None:
        """Where rows are cells of a grid, without their coordinates: workers need no more."""
        cells = self.rows.cells
        return None if cells is None or not cells.gridded else replace(cells, coordinates=None)

    @cached_property
    def coordinates(self) -> Coordinates:
        """What is kept of the cells beside their scores."""
        scores = (*self.arrays, *self.flags, self.statistics)
        return coordinates_of(self.rows.cells, [array.name for array in scores])

    @property
    def arrays(self) -> tuple[ScoreArray, ...]:
        return tuple(self._array(name) for name in self.options.names)

    @property
    def flags(self) -> tuple[ScoreArray, ...]:
        """What can be written only when all log densities are known."""
        return () if self.options.quantile is None else (self._array("outlier"),)

    @property
    def statistics(self) -> ScoreArray:
        width = len(COUNTS) + self.mixture.parts
        dimensions = ("block", "statistic")
        return ScoreArray("block_statistics", "float64", len(self.rows), 1, width, dimensions)

    def _array(self, name: str) -> ScoreArray:
        return score_array(
            name,
            rows=self.rows.shape[0],
            block_rows=self.block_rows,
            mixture=self.mixture,
            top=self.options.top,
            dtype=self.options.dtype,
            cells=self.cells,
        )

    def record(self) -> dict[str, Any]:
        """What has to be the same for the scores to be resumed."""
        first, last = self.rows.cuts[0], self.rows.cuts[-1]
        return {
            "model": model_record(self.mixture),
            "source": self.rows.fingerprint(),
            "rows": [first, last],
            "block_rows": self.block_rows,
            "options": {**asdict(self.options), "write": sorted(self.options.write)},
            "arrays": [
                *(array.name for array in (*self.arrays, *self.flags, self.statistics)),
                *self.coordinates.names,
            ],
            "statistics": [
                *COUNTS,
                *(f"component {k}" for k in range(self.mixture.components)),
                *["noise"] * (self.mixture.noise is not None),
            ],
        }


def model_record(mixture: Scored) -> dict[str, Any]:
    """What tells a mixture, or one of clusters, from others."""
    if isinstance(mixture, MergedMixture):
        return {**model_record(mixture.mixture), "cluster_of": list(mixture.cluster_of)}
    parts = (mixture.weights, mixture.means, mixture.covariances, *mixture.noise_told)
    return {
        "digest": _digest(mixture.family.encode(), *(part.tobytes() for part in parts)),
        "family": mixture.family,
        "components": mixture.components,
        "features": mixture.features,
    }


def score_blocks(rows: Rows, options: ScoreOptions, mixture: Scored) -> Rows:
    """Rows in blocks that are chunks of what is written: those of a grid are its own."""
    if rows.cells is None or not rows.cells.gridded:
        return even_blocks(regular_blocks(rows), options, mixture)
    cells = rows.cells.cut(rows.cuts[1]) if not rows.source.layouts() else rows.cells
    if (dim := cells.irregular) is not None:
        raise DataError(
            f"{rows.source.address} has chunks of unlike lengths along {dim!r}, which scores in "
            f"Zarr cannot have: pass it as .chunk({dim}=…)"
        )
    return replace(rows, cuts=cells.cuts, cells=cells)


def even_blocks(rows: Rows, options: ScoreOptions, mixture: Scored) -> Rows:
    """Rows in blocks that can be written in chunks of a bounded size: as they are where possible.

    A block of a prime number of rows would be one chunk, and held as a whole, however wide.
    """
    length = rows.cuts[1] - rows.cuts[0]
    even = even_length(length, options.row_bytes(mixture.parts))
    return rows if even == length else blocks_of(rows, even)


def _digest(*parts: bytes) -> str:
    """A name for these bytes."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
