"""What the checksum of the rows' bytes takes of the profile pass, by features and type.

    python -m tests.benchmarks.checksum

Of blocks in memory, on one thread, in turns, medians; a pass that reads its blocks takes longer.
"""

import sys
from statistics import median
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from gmm_dask.chunked.profile import _profile_block, checksum_of

BLOCK = 8_000_000
REPETITIONS = 7
DEAREST = 0.1
"""A tenth of the pass."""


def share(features: int, dtype: str) -> float:
    """Seconds of the checksum in those of a block's whole profile."""
    random = np.random.default_rng(0)
    table = random.normal(size=(BLOCK // features // np.dtype(dtype).itemsize, features))
    table = table.astype(dtype)
    alone, whole = [], []
    for _ in range(REPETITIONS):
        started = perf_counter()
        checksum_of(table, None)
        between = perf_counter()
        _profile_block(table, None, 0, (0, 10_000))
        alone.append(between - started)
        whole.append(perf_counter() - between)
    return median(alone) / median(whole)


def main() -> int:
    """Print the table; 1 where a checksum takes more than it may."""
    found = []
    with threadpool_limits(1):
        for features in (1, 2, 4, 16, 64, 128):
            of_type = {dtype: share(features, dtype) for dtype in ("f4", "f8")}
            told = ", ".join(f"{dtype} {part:.1%}" for dtype, part in of_type.items())
            print(f"{features:4} features: {told}")
            found += of_type.values()
    return int(max(found) > DEAREST)


if __name__ == "__main__":
    sys.exit(main())
