"""A driver that iterates steadily, a few passes a second, until it is told enough.

python -m tests.faults.rows.soaking SCHEDULER SOURCE RUN SECONDS
"""

import sys
import time

from distributed import Client

import gmm_dask
from gmm_dask import Configuration
from gmm_dask.fitting.run_loop import Progress
from tests.faults.fits import BLOCK_BYTES

REST = 0.2
"""Seconds between iterations: other rows run beside this."""


class Enough(Exception):  # noqa: N818 - no error
    pass


def main(scheduler: str, source: str, run: str, seconds: str) -> None:
    configuration = Configuration(3, tol=None, max_iter=10**9, accelerate=None, seed=1)
    end = time.monotonic() + float(seconds)

    def tell(_: Progress) -> None:
        time.sleep(REST)
        if time.monotonic() > end:
            raise Enough

    with Client(scheduler, set_as_default=False) as client:
        try:
            gmm_dask.fit(
                source,
                configuration,
                client=client,
                run=run,
                callbacks=[tell],
                block_bytes=BLOCK_BYTES,
            )
        except Enough:
            sys.stdout.write("enough\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
