"""What a driver's memory comes to beside the parameters that it fits, on a cluster of one worker.

    python -m tests.benchmarks.driver_memory

Each fit in a process of its own: the largest that is resident, less that of a fit of two features.
These are its first passes; where an acceleration remembers eight steps, these take nine times the
parameters, and what it makes of them for a proposal as much again.

Before, the same was 29 times the parameters of 200 features. 12 glibc kept of what had gone
(896 MB, and 654 with MALLOC_MMAP_THRESHOLD_=1000000); 4, after four passes, were statistics and
mixtures of passes before in rings of references (258 MB traced, and 168 without the rings).
"""

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import zarr
from distributed import Client

from gmm_dask import Configuration, Mixture, fit
from tests.faults.cluster import processes_of

COMPONENTS, ROWS, ITERATIONS = 64, 40_000, 8
SIZES = (200, 300)
BAR = 12.0
"""Times the parameters."""


def one(features: int) -> int:
    """The most bytes of this process while it fits."""
    random = np.random.default_rng(0)
    peak, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            peak[0] = max(peak[0], psutil.Process().memory_info().rss)

    with tempfile.TemporaryDirectory() as folder, processes_of(1) as processes:
        path = str(Path(folder, "rows.zarr"))
        rows = zarr.create_array(path, shape=(ROWS, features), dtype="f4", chunks=(4096, features))
        rows[:] = random.normal(size=(ROWS, features))
        start = Mixture(
            np.full(COMPONENTS, 1 / COMPONENTS),
            random.normal(size=(COMPONENTS, features)),
            np.broadcast_to(4 * np.eye(features), (COMPONENTS, features, features)),
        )
        asked = Configuration(COMPONENTS, max_iter=ITERATIONS, tol=0.0)
        threading.Thread(target=watch, daemon=True).start()
        with Client(processes.address) as client:
            fit(path, asked, initial=start, client=client, run=Path(folder, "run"))
        ended.set()
        time.sleep(0.05)
    return peak[0]


def in_a_process(features: int) -> int:
    """The same in a fresh process: what one fit leaves is not the next one's."""
    command = [sys.executable, "-m", "tests.benchmarks.driver_memory", str(features)]
    return int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> int:
    """Print the table; 1 where a driver takes more than it may."""
    if len(sys.argv) > 1:
        print(one(int(sys.argv[1])))
        return 0
    least, worst = in_a_process(2), 0.0
    print(f"2 features: {least / 1e6:.0f} MB")
    for features in SIZES:
        peak = in_a_process(features)
        parameters = 8 * COMPONENTS * features * (features + 1)
        times = (peak - least) / parameters
        worst = max(worst, times)
        print(
            f"{features} features: {peak / 1e6:.0f} MB, {times:.1f} times the "
            f"{parameters / 1e6:.1f} MB of parameters beyond that"
        )
    return int(worst > BAR)


if __name__ == "__main__":
    sys.exit(main())
