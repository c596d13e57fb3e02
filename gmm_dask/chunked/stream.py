"""Blocks in order, the next one read and decompressed while the present one is computed.

Memory, per worker thread, at most

    present block + next block + what reading it takes
    ≤ 2 · B + (B + C)

with B the bytes of the largest block in its stored dtype and C those of its compressed chunks
(Zarr assembles a block beside its decoded chunks). The working memory of the computation comes
on top. A worker with t threads thus needs t · (3 · B + C) for reading; B is at most 64 MB unless a
single chunk or shard is larger.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gmm_dask.chunked.rows import Rows, Values, Weights


@dataclass(frozen=True)
class Placed:
    """A block with the place that it has among all blocks, also where it is of a share of them."""

    index: int
    first_row: int
    table: Values
    weights: Weights

    def __sizeof__(self) -> int:
        # Dask asks for this to decide what to spill, and where a task is cheapest to run.
        return 200 + self.table.nbytes + (0 if self.weights is None else self.weights.nbytes)


def read_placed(rows: Rows, index: int, *, verify: bool = False) -> Placed:
    """Block `index` with all its rows; with `verify`, absent chunks are errors."""
    if verify:
        rows.verify(index)
    return Placed(rows.first_block + index, rows.blocks[index][0], *rows.read_all(index))


def stream(
    rows: Rows, first: int = 0, last: int | None = None, *, verify: bool = False
) -> Iterator[Placed]:
    """Blocks [first, last) in order, one block ahead on a thread of its own, if there are two."""
    last = len(rows) if last is None else last
    if last - first == 1:
        yield read_placed(rows, first, verify=verify)
        return
    reader = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
    try:
        upcoming = reader.submit(read_placed, rows, first, verify=verify)
        for index in range(first, last):
            present = upcoming.result()
            if index + 1 < last:
                upcoming = reader.submit(read_placed, rows, index + 1, verify=verify)
            else:
                del upcoming  # it would keep the last block alive beside `present`
            yield present
    finally:
        # Not waited for: left half-way, this may be closed by the garbage collector in any thread,
        # also in the one of Zarr's that the read under way waits for.
        reader.shutdown(wait=False, cancel_futures=True)
