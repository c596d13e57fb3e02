"""The first pass over the data: is every row usable, and what do they look like?

Validates, counts, finds moments and extremes per feature and draws a sample, all at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.engines.protocol import Engine
from gmm_dask.chunked.moments import Moments, moments_of, no_moments
from gmm_dask.chunked.nonfinite import LARGEST_VALUE, Fault, Policy, faults_of, refused_rows
from gmm_dask.chunked.processors import processor
from gmm_dask.chunked.rows import DataError, Rows, Values, Weights
from gmm_dask.chunked.sample import RowSample, sample_of
from gmm_dask.mixture.kernels.fused import prepare

Vector = NDArray[np.float64]

SHOWN = 5
MEAN_TO_SPREAD = {"f4": 1e4, "f2": 1e2}  # beyond, a storage type loses more than 1e-6
SAME = 1e-9  # relative: moments that differ by more are not of the same rows
SMALLEST_WEIGHT = 1e-150  # of all rows: below, products with what is small have few digits left
STRIP_VALUES = 262_144  # converted at a time: 2 MB of float64, which stays in cache


class PrecisionWarning(UserWarning):
    """The storage type leaves few digits for the spread of a feature."""


@dataclass(frozen=True, eq=False)
class Profile:
    """What one pass over all rows tells."""

    rows: int
    finite_rows: int
    skipped_rows: int
    weight_total: float
    mean: Vector
    sd: Vector
    minimum: Vector
    maximum: Vector
    sample: RowSample
    bytes: int
    checksum: int
    """Of the rows' bytes as they are stored, and of the weights': the same on every machine."""
    processors: tuple[str, ...]
    """What workers compute with; more than one where they are unlike each other."""

    @property
    def variances(self) -> Vector:
        """Of the features; 0 where all values are equal, whatever rounding makes of it."""
        return np.where(self.minimum < self.maximum, self.sd**2, 0.0)

    def summary(self) -> dict[str, Any]:
        """All but the sample, JSON-able. Equal for the same rows: moments to rounding, which is the
        processors', all else exactly."""
        return {
            "bytes_checksum": f"{self.checksum:08x}",
            "processors": " and ".join(self.processors),
            "driver": processor(),
            "rows": self.rows,
            "skipped_rows": self.skipped_rows,
            "weight_total": self.weight_total,
            "mean": self.mean.tolist(),
            "sd": self.sd.tolist(),
            "minimum": self.minimum.tolist(),
            "maximum": self.maximum.tolist(),
        }

    def without_sample(self) -> Profile:
        """The same once its rows have served, which are the most of it."""
        return replace(self, sample=self.sample.first(0))

    def differences(self, stored: Mapping[str, Any]) -> list[str]:
        """What of an earlier look's summary says that these are other rows; nothing if none does.

        Summaries of earlier versions have no checksum.
        """
        exact = ("rows", "skipped_rows", "bytes_checksum", "minimum", "maximum")
        summary = self.summary()
        names = [name for name in exact if name in stored and stored[name] != summary[name]]
        mean, sd = np.asarray(stored["mean"]), np.asarray(stored["sd"])
        unit = self.sd + SAME * np.abs(self.mean)
        if not np.allclose(self.weight_total, stored["weight_total"], rtol=SAME, atol=0):
            names.append("weight_total")
        if mean.shape != self.mean.shape or (np.abs(self.mean - mean) > SAME * unit).any():
            names.append("mean")
        if sd.shape != self.sd.shape or (np.abs(self.sd - sd) > SAME * unit).any():
            names.append("sd")
        return names


@dataclass(frozen=True, eq=False)
class _Part:
    """The profile of some rows."""

    rows: int
    moments: Moments
    sample: RowSample
    bad_rows: int
    refused_rows: int
    refused: tuple[Fault, ...]
    bad_weights: int
    bad_weight: tuple[Fault, ...]
    checksum: int
    processors: frozenset[str]

    def __add__(self, other: _Part) -> _Part:
        return _Part(
            self.rows + other.rows,
            self.moments + other.moments,
            self.sample + other.sample,
            self.bad_rows + other.bad_rows,
            self.refused_rows + other.refused_rows,
            (self.refused + other.refused)[:SHOWN],
            self.bad_weights + other.bad_weights,
            (self.bad_weight + other.bad_weight)[:SHOWN],
            crc32(self.checksum.to_bytes(4) + other.checksum.to_bytes(4)),
            self.processors | other.processors,
        )


def profile(engine: Engine, *, sample_rows: int, seed: int) -> Profile:
    """Validate and summarise all rows of an engine in one pass, by the rows' own policies.

    mean and sd (divided by the total weight) are weighted; the sample is of rows of positive
    weight, the likelier the more they weigh. Raises DataError where rows cannot be used.
    """
    rows = engine.rows
    question = seed, sample_rows, rows.nonfinite
    part = engine.map_reduce(_profile_block, question, name="profile", every_row=True, verify=True)
    _refuse(part, rows)
    made = Profile(
        rows=part.rows,
        finite_rows=part.rows - part.bad_rows,
        skipped_rows=part.bad_rows,
        weight_total=part.moments.weight,
        mean=part.moments.mean,
        sd=np.sqrt(part.moments.variance),
        minimum=part.moments.minimum,
        maximum=part.moments.maximum,
        sample=part.sample,
        bytes=rows.nbytes,
        checksum=part.checksum,
        processors=tuple(sorted(part.processors)),
    )
    _warn_of_storage(made, rows)
    return made


def _profile_block(
    table: Values, weights: Weights, first_row: int, question: tuple[int, int, Policy]
) -> _Part:
    seed, size, nonfinite = question
    prepare(table.shape[1])  # every worker profiles before it iterates: loops are ready by then
    good = np.ones(len(table), dtype=np.bool_)
    faults: list[Fault] = []
    refused = 0
    moments = no_moments(table.shape[1])
    bad_weights, bad_weight = _weight_faults(weights, first_row)
    for strip in _strips(table):
        x = table[strip].astype(np.float64)
        finite = np.abs(x) <= LARGEST_VALUE
        good[strip] = kept = finite.all(axis=1)
        if not kept.all():
            refusing = refused_rows(x, kept, nonfinite)
            refused += int(refusing.sum())
            place = first_row + strip.start
            faults += faults_of(x, finite, refusing, place, SHOWN - len(faults))
            x = x[kept]
        if not bad_weights:
            moments += moments_of(x, None if weights is None else weights[strip][kept])
    sample = sample_of(table, weights, first_row, good, seed, size)
    bad = len(good) - int(good.sum())
    return _Part(
        len(table),
        moments,
        sample,
        bad,
        refused,
        tuple(faults),
        bad_weights,
        bad_weight,
        checksum_of(table, weights),
        frozenset([processor()]),
    )


def checksum_of(table: Values, weights: Weights) -> int:
    """Of a block's bytes, little-endian: at 4 GB/s a few hundredths of what else is done here."""
    checksum = crc32(_little(table))
    return checksum if weights is None else crc32(_little(weights), checksum)


def _little(values: Values) -> memoryview:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).data


def _strips(table: Values) -> Iterator[slice]:
    step = max(1, STRIP_VALUES // table.shape[1])
    return (slice(start, start + step) for start in range(0, len(table), step))


def _weight_faults(weights: Weights, first_row: int) -> tuple[int, tuple[Fault, ...]]:
    if weights is None:
        return 0, ()
    faulty = np.flatnonzero(~((weights >= 0) & (weights <= LARGEST_VALUE)))
    shown = tuple(Fault(first_row + int(i), 0, float(weights[i])) for i in faulty[:SHOWN])
    return len(faulty), shown


def _refuse(part: _Part, rows: Rows) -> None:
    if part.bad_weights and rows.weights is not None:
        first = part.bad_weight[0]
        raise DataError(
            f"weights {rows.weights.address}: row {first.row} has {first.value:g}"
            f"{_chunk(rows.weights.chunk_of(first.row, 0))}; {part.bad_weights} of {part.rows} "
            f"weights are negative, not finite or beyond {LARGEST_VALUE:g}; every weight must be "
            "from 0 up to that"
        )
    if part.refused_rows:
        first = part.refused[0]
        others = ", ".join(str(fault.row) for fault in part.refused[1:])
        chunk = rows.source.chunk_of(first.row, first.feature)
        raise DataError(
            f"{rows.source.address}: row {first.row} has {rows.feature_names[first.feature]} = "
            f"{first.value:g}{_chunk(chunk)}; {part.refused_rows} of "
            f"{part.rows} rows are not finite or beyond ±{LARGEST_VALUE:g}"
            + (f" (next: {others})" if others else "")
            + '; clean them, or pass nonfinite="skip" to leave those rows out'
        )
    if part.bad_rows == part.rows:
        raise DataError(f"{rows.source.address}: none of {part.rows} rows is finite")
    if part.moments.weight == 0:
        raise DataError(f"{rows.source.address}: every weight is zero; nothing is left to fit")
    if part.moments.weight < SMALLEST_WEIGHT:
        raise DataError(
            f"{rows.source.address}: all weights together are {part.moments.weight:g}, too little "
            "to be multiplied with; multiply all of them by one large number first"
        )


def _chunk(name: str) -> str:
    return f" (chunk {name})" if name else ""


def _warn_of_storage(made: Profile, rows: Rows) -> None:
    """Rounding of the stored values shows in covariances of narrow features far from zero."""
    limit = MEAN_TO_SPREAD.get(rows.dtype.str[1:])
    if limit is None:
        return
    spread = np.where(made.sd > 0, made.sd, np.inf)  # constant features lose nothing
    ratio = np.abs(made.mean) / spread
    if ratio.max() > limit:
        worst = int(ratio.argmax())
        warnings.warn(
            f"{rows.source.address}: {rows.feature_names[worst]} is stored as {rows.dtype} with "
            f"mean/sd = {ratio[worst]:.3g}, beyond {limit:.3g}: covariances lose digits to "
            "rounding; store it as float64, or subtract a constant before storing",
            PrecisionWarning,
            stacklevel=3,
        )
