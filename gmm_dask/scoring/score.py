"""Scores of all rows, written chunk by chunk to a new Zarr group beside the data.

    rows ──▶ score(block, mixture) ──▶ chunks of labels, probabilities, log_density, outlier
                                  └──▶ block_statistics ──▶ the group's summary

Every block is one chunk of each array, so no two tasks write the same one, and a block that is
there is never computed again. How the group stays invisible until it is whole: `store/scores.py`.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from distributed import Client

from gmm_dask.chunked.engines.choice import engine_over
from gmm_dask.chunked.rows import DataError, Rows, open_rows
from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.models.model import load_model
from gmm_dask.scoring.array import ScoreArray, even_length, score_array
from gmm_dask.scoring.blocks import blocks_of, chosen_blocks, regular_blocks
from gmm_dask.scoring.densities import COUNTS
from gmm_dask.scoring.features import check_features
from gmm_dask.scoring.group import ScoreGroup, digest_of
from gmm_dask.scoring.quantile import quantile as find_quantile
from gmm_dask.scoring.tasks import Assignment, Statistics, flag_block, write_block
from gmm_dask.settings.configuration import ConfigurationError
from gmm_dask.store.errors import StorageError
from gmm_dask.store.location import Location
from gmm_dask.store.lock import Lock

logger = logging.getLogger("gmm_dask")

Written: TypeAlias = Literal["labels", "probabilities", "log_density"]
WRITABLE: tuple[Written, ...] = ("labels", "probabilities", "log_density")


class HasMixture(Protocol):
    """A `Fit`, a `Model`: what carries a mixture and the names of its features."""

    @property
    def mixture(self) -> Mixture: ...

    @property
    def feature_names(self) -> Sequence[str] | None: ...


@dataclass(frozen=True)
class Scores:
    """What was written, in a few numbers; the same are in the group's attributes."""

    where: str
    arrays: tuple[str, ...]
    rows: int
    skipped: int
    shares: tuple[float, ...]
    mean_log_density: float
    outliers: int | None
    outlier_threshold: float | None
    blocks: int
    blocks_written: int

    def summary(self) -> dict[str, Any]:
        """What does not depend on where, nor on how many calls it took; JSON-able."""
        told = asdict(self)
        return {name: told[name] for name in told if name not in ("where", "blocks_written")}


@dataclass(frozen=True)
class Options:
    """What to write of each row."""

    write: tuple[Written, ...] = ("labels", "log_density")
    top: int | None = None
    quantile: float | None = None
    threshold: float | None = None
    dtype: Literal["float64", "float32"] = "float64"

    def check(self, components: int) -> None:
        """Raise ConfigurationError, in one sentence, for what cannot be meant."""
        unknown = [name for name in self.write if name not in WRITABLE]
        if unknown:
            known = ", ".join(WRITABLE)
            raise ConfigurationError(f"write={unknown[0]!r} is not known; choose of {known}")
        if not self.names:
            raise ConfigurationError("nothing is to be written: name at least one of write=")
        if self.top is not None and not 1 <= self.top <= components:
            raise ConfigurationError(
                f"top={self.top} must lie between 1 and {components} components"
            )
        if self.quantile is not None and self.threshold is not None:
            raise ConfigurationError(
                "outliers lie below a quantile or a threshold: pass one of the two"
            )
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise ConfigurationError(f"quantile={self.quantile} must lie between 0 and 1")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise ConfigurationError(f"threshold={self.threshold} must be a finite log density")
        if self.dtype not in ("float64", "float32"):
            raise ConfigurationError(f"dtype={self.dtype!r} must be float64 or float32")

    def row_bytes(self, components: int) -> int:
        """Of the widest array."""
        width = self.top or (components if "probabilities" in self.write else 1)
        return max(8, width * np.dtype(self.dtype).itemsize)

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays of the first pass; a quantile is one of the log densities, as written."""
        chosen = {"labels", "probabilities", "log_density"} & {*self.write}
        if self.top is not None:
            chosen = (chosen - {"probabilities"}) | {"top_components", "top_probabilities"}
        if self.quantile is not None:
            chosen |= {"log_density"}
        if self.threshold is not None:
            chosen |= {"outlier"}
        return tuple(sorted(chosen))


def score(
    model: Mixture | HasMixture | Location,
    source: object,
    out: Location,
    *,
    write: Sequence[Written] = ("labels", "log_density"),
    top: int | None = None,
    quantile: float | None = None,
    threshold: float | None = None,
    dtype: Literal["float64", "float32"] = "float64",
    client: Client | None = None,
    overwrite: bool = False,
    **opening: Any,
) -> Scores:
    """Write what a model says of every row to a new Zarr group at a path or URL.

    `model` is a mixture, a fit, or where a model is stored; `source` and `opening` are those of
    `open_rows`. Arrays, row i being the i-th of the rows chosen:

    labels (N,)              the most probable component, in the smallest integers that hold it
    probabilities (N, K)     responsibilities, as `dtype`; with `top=m`, instead of them
    top_components, top_probabilities (N, m)    the m most probable, in falling order
    log_density (N,)         log p(x)
    outlier (N,)             log p(x) < `threshold`, or below the `quantile` of these very rows:
                             their share is quantile − 1e-5 at least, and never more than it

    Rows that `nonfinite="skip"` passes over have label −1, NaN, and are no outliers. Workers of
    `client`, or else of the active one, read and write; without any this process does. Until all
    is written the group has no metadata, so nothing opens it. Called again, only missing blocks
    are written, a finished group is left alone, and one by another model, of other data or with
    other options is refused unless it is to be overwritten. RunIsBusy while another process
    writes there.
    """
    options = Options(tuple(write), top, quantile, threshold, dtype)
    mixture, names = _mixture_of(model)
    options.check(mixture.components)
    opened = source if isinstance(source, Rows) else open_rows(source, **opening)
    rows = even_blocks(regular_blocks(replace(opened, weights=None)), options, mixture)
    check_features(rows.source.address, rows.feature_names, mixture.features, names)
    scoring = Scoring(mixture, rows, options, client)
    group = ScoreGroup.at(out, scoring.record(), overwrite=overwrite)
    done = None if overwrite else scoring.complete(group)
    if done is not None:
        logger.info("%s is complete: nothing to do", group.where)
        return _told(group, done, 0)
    with group.held(overwrite=overwrite) as lock:
        return scoring.write(group, lock)


def even_blocks(rows: Rows, options: Options, mixture: Mixture) -> Rows:
    """Rows in blocks that can be written in chunks of a bounded size: as they are where possible.

    A block of a prime number of rows would be one chunk, and held as a whole, however wide.
    """
    length = rows.cuts[1] - rows.cuts[0]
    even = even_length(length, options.row_bytes(mixture.components))
    return rows if even == length else blocks_of(rows, even)


@dataclass(frozen=True, eq=False)
class Scoring:
    """A mixture, rows in regular blocks and what to write of them."""

    mixture: Mixture
    rows: Rows
    options: Options
    client: Client | None

    @property
    def block_rows(self) -> int:
        first, last = self.rows.blocks[0]
        return last - first

    @property
    def cuts(self) -> tuple[int, ...]:
        """Where blocks begin in the output."""
        return tuple(cut - self.rows.cuts[0] for cut in self.rows.cuts)

    @property
    def arrays(self) -> tuple[ScoreArray, ...]:
        return tuple(self._array(name) for name in self.options.names)

    @property
    def flags(self) -> tuple[ScoreArray, ...]:
        """What can be written only when all log densities are known."""
        return () if self.options.quantile is None else (self._array("outlier"),)

    @property
    def statistics(self) -> ScoreArray:
        width = len(COUNTS) + self.mixture.components
        dimensions = ("block", "statistic")
        return ScoreArray("block_statistics", "float64", len(self.rows), 1, width, dimensions)

    def _array(self, name: str) -> ScoreArray:
        return score_array(
            name,
            rows=self.rows.shape[0],
            block_rows=self.block_rows,
            components=self.mixture.components,
            top=self.options.top,
            dtype=self.options.dtype,
        )

    def record(self) -> dict[str, Any]:
        """What has to be the same for the scores to be resumed."""
        mixture, first, last = self.mixture, self.rows.cuts[0], self.rows.cuts[-1]
        parts = (mixture.weights, mixture.means, mixture.covariances)
        return {
            "model": {
                "digest": digest_of(mixture.family.encode(), *(part.tobytes() for part in parts)),
                "family": mixture.family,
                "components": mixture.components,
                "features": mixture.features,
            },
            "source": self.rows.fingerprint(),
            "rows": [first, last],
            "block_rows": self.block_rows,
            "options": {**asdict(self.options), "write": sorted(self.options.write)},
            "arrays": [array.name for array in (*self.arrays, *self.flags, self.statistics)],
            "statistics": [*COUNTS, *(f"component {k}" for k in range(mixture.components))],
        }

    def complete(self, group: ScoreGroup) -> dict[str, Any] | None:
        """The summary of scores that are all there."""
        done = group.finished()
        if done is None or self.missing(group) or group.missing(self.flags, self.cuts):
            return None
        summary: dict[str, Any] = done["summary"]
        return summary

    def write(self, group: ScoreGroup, lock: Lock) -> Scores:
        """All that is missing, while the lock keeps others out."""
        done = self.complete(group)
        if done is not None:  # by another driver, a moment ago
            return _told(group, done, 0)
        if group.finished() is not None:
            group.reopen([*self.arrays, *self.flags, self.statistics])
        written, lines = self.write_blocks(group)
        lock.confirm()
        group.describe_arrays([*self.arrays, self.statistics])
        threshold, outliers, flagged = self.write_flags(group, lines)
        summary = _summary(self, lines, threshold, outliers)
        lock.confirm()
        group.describe_arrays(self.flags)
        group.finish({"summary": summary})
        return _told(group, summary, max(written, flagged))

    def missing(self, group: ScoreGroup) -> set[int]:
        """The blocks that lack a chunk or their line of statistics."""
        undone = group.missing([self.statistics], range(len(self.rows) + 1))
        return {*undone, *group.missing(self.arrays, self.cuts)}

    def write_blocks(self, group: ScoreGroup) -> tuple[int, Array]:
        """Score the blocks that are missing; how many they were, and the statistics of all."""
        pending = self.missing(group)
        present = [i for i in range(len(self.rows)) if i not in pending]
        lines = group.read_single(self.statistics, present)
        pending |= {i for i in present if i not in lines}
        if pending:
            found = self._pass(group, tuple(sorted(pending)))
            if found.fault:
                others = f"; {found.faulty} blocks have such rows" if found.faulty > 1 else ""
                raise DataError(found.fault + others)
            lines |= dict(zip(found.blocks, found.lines, strict=True))
        gone = self.missing(group)
        if gone:
            raise StorageError(
                f"{group.where}: {len(gone)} blocks that workers wrote are not there; scores "
                "need a place that all workers and this process share"
            )
        return len(pending), np.array([lines[i] for i in range(len(self.rows))])

    def _pass(self, group: ScoreGroup, pending: tuple[int, ...]) -> Statistics:
        chosen = chosen_blocks(self.rows, pending)
        assignment = Assignment(
            group,
            self.mixture,
            self.options.threshold,
            self.rows.nonfinite,
            self.rows.source.address,
            self.arrays,
            self.statistics,
            pending,
            chosen.cuts[0],
            self.rows.cuts[0],
            self.block_rows,
        )
        with engine_over(chosen, self.client, "none") as (engine, _):
            # its factors made by one thread of BLAS, as on workers
            assignment = replace(assignment, mixture=copy(self.mixture))
            return engine.map_reduce(
                write_block, assignment, name="score", every_row=True, verify=True
            )

    def write_flags(self, group: ScoreGroup, lines: Array) -> tuple[float | None, int | None, int]:
        """Threshold and number of outliers, and how many blocks were flagged by a second pass."""
        if self.options.quantile is None:
            counted = None if self.options.threshold is None else int(lines[:, 3].sum())
            return self.options.threshold, counted, 0
        densities = open_rows(f"{group.where}/log_density")
        with engine_over(densities, self.client, "none") as (engine, _):
            threshold, outliers, count = find_quantile(engine, self.options.quantile)
        if count != int(lines[:, 0].sum()):
            raise StorageError(f"{group.where}: log_density is damaged; delete it and score again")
        pending = group.missing(self.flags, self.cuts)
        # All blocks, also those that are there: no line of statistics says whose flags they are.
        flagging = (group, self.flags[0], threshold)
        with engine_over(replace(densities, cuts=self.cuts), self.client, "none") as (engine, _):
            engine.map_reduce(flag_block, flagging, name="flag", every_row=True)
        return threshold, outliers, len(pending)


def _summary(
    scoring: Scoring, lines: Array, threshold: float | None, outliers: int | None
) -> dict[str, Any]:
    """Of all blocks: sums are exact, so it does not matter who computed which, nor when."""
    rows, skipped, density, _, *counts = (math.fsum(column) for column in lines.T)
    if not rows:
        raise DataError(f"{scoring.rows.source.address}: none of {int(skipped)} rows is finite")
    names = sorted(array.name for array in (*scoring.arrays, *scoring.flags))
    return {
        "arrays": names,
        "rows": int(rows),
        "skipped": int(skipped),
        "shares": [count / rows for count in counts],
        "mean_log_density": density / rows,
        "outliers": outliers,
        "outlier_threshold": threshold,
        "blocks": len(scoring.rows),
    }


def _told(group: ScoreGroup, summary: Mapping[str, Any], written: int) -> Scores:
    listed = {name: tuple(summary[name]) for name in ("arrays", "shares")}
    return Scores(where=group.where, blocks_written=written, **{**summary, **listed})


def _mixture_of(
    model: Mixture | HasMixture | Location,
) -> tuple[Mixture, Sequence[str] | None]:
    if isinstance(model, Mixture):
        return model, None
    carrier = load_model(model) if isinstance(model, str | os.PathLike) else model
    return carrier.mixture, carrier.feature_names
