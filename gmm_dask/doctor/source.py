"""The data: layout against the cost of tasks and reads, absent chunks, checksums, size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np
from distributed.system import MEMORY_LIMIT

from gmm_dask.chunked.moments import moments_of, no_moments
from gmm_dask.chunked.rows import DataError, Rows, kept_rows, open_rows
from gmm_dask.chunked.sources.chunk_grid import (
    axes_of,
    is_regular,
    sharding_of,
)
from gmm_dask.chunked.sources.opening import only_table, open_source
from gmm_dask.chunked.sources.zarr_source import ZarrSource
from gmm_dask.doctor.finding import Finding, bad, good, note
from gmm_dask.mixture.maximisation import too_large
from gmm_dask.mixture.regularisation import Regularisation

SMALL_CHUNK, LARGE_CHUNK = 2**18, 2**28
CHECKSUMS = {"crc32c", "fletcher32", "crc32", "adler32"}
REG_COVAR = Regularisation.reg_covar
MEMORY_SHARE = 0.5  # what cache="auto" allows


def rows_of(
    address: str, opening: dict[str, Any], reg_covar: float = REG_COVAR
) -> Iterator[Finding]:
    """Everything about one source, and about what is added to its variances."""
    source = open_source(address)
    named = any(map(opening.get, ("array", "columns", "sample_dims", "feature_dims")))
    rows = open_rows(source, **(opening if named else {**opening, "array": only_table(source)}))
    yield good("data", f"{rows.describe()}, {rows.nbytes / 2**20:,.1f} MiB")
    if isinstance(rows.source, ZarrSource):
        yield from layout(rows.source)
        yield from checksums(rows.source)
    yield good("blocks", f"{len(rows):,} of about {rows.nbytes / len(rows) / 2**20:.1f} MiB")
    yield from presence(rows)
    yield from cache(rows)
    yield from regularisation(rows, reg_covar)


def layout(source: ZarrSource) -> Iterator[Finding]:
    """Bytes per stored object: each costs a request, and is read as a whole."""
    array = source.array
    grid = tuple(axis.step for axis in axes_of(array))
    size = source.dtype.itemsize * prod(grid)
    kind = "shards" if sharding_of(array) else "chunks"
    kind += " of" if is_regular(array) else " of at most"
    sizes = f"{kind} {grid}: {size / 2**20:.3g} MiB, {array.nchunks:,} chunks"
    if array.ndim == 2 and grid[1] < array.shape[1]:
        advice = "store all features of a row in one chunk: every block reads several"
        yield note("chunks", sizes, advice)
    elif size > LARGE_CHUNK:
        advice = "a chunk is read as a whole, three times in memory per thread: store smaller ones"
        yield note("chunks", sizes, advice)
    elif size < SMALL_CHUNK and array.nchunks > 1:
        advice = "each costs about a millisecond to read: aim at 1 to 64 MiB, or use shards"
        yield note("chunks", sizes, advice)
    else:
        yield good("chunks", sizes)


def checksums(source: ZarrSource) -> Iterator[Finding]:
    """Whether a flipped bit would be noticed."""
    codecs = repr(getattr(source.array.metadata, "codecs", source.array.filters)).lower()
    if any(name in codecs for name in CHECKSUMS) or "checksum=true" in codecs:
        yield good("checksums", "damaged chunks are noticed")
    else:
        advice = "write with crc32c (zarr.codecs.Crc32cCodec) or zstd's checksum"
        yield note("checksums", "none: flipped bits are read as they are", advice)


def presence(rows: Rows) -> Iterator[Finding]:
    """Chunks that are not there would read as the fill value."""
    absent: list[str] = []
    for index in range(len(rows)):
        try:
            rows.verify(index)
        except DataError as problem:
            absent.append(str(problem))
    if absent:
        advice = f"{len(absent)} of {len(rows)} blocks lack chunks: restore them"
        yield bad("missing chunks", absent[0], advice)
    else:
        yield good("missing chunks", "none")


def cache(rows: Rows) -> Iterator[Finding]:
    """Whether passes will read from memory."""
    share = rows.nbytes / MEMORY_LIMIT
    if share <= MEMORY_SHARE:
        yield good("cache", f"rows take {share:.1%} of this machine's memory: read once")
    else:
        advice = "streamed in every pass; workers with more memory together would keep them"
        yield note("cache", f"rows are {share:.1f} times this machine's memory", advice)


def regularisation(rows: Rows, reg_covar: float) -> Iterator[Finding]:
    """reg_covar beside the variances, of a few blocks: no pass is made."""
    looked = sorted({0, len(rows) // 2, len(rows) - 1})
    moments = no_moments(rows.shape[1])
    for index in looked:
        with suppress(DataError):  # a missing chunk is told of already
            table, _ = kept_rows(*rows.read(index))
            moments += moments_of(table.astype(np.float64), None)
    variances = np.where(moments.minimum < moments.maximum, moments.variance, 0)
    excess = too_large(reg_covar, rows.feature_names, variances)
    if excess:
        advice = "give fit a smaller --reg-covar, or store these features in a smaller unit"
        yield note("regularisation", excess, advice)
    else:
        where = f"in {len(looked)} of {len(rows):,} blocks"
        yield good("regularisation", f"{reg_covar:g} is little beside the variances {where}")
