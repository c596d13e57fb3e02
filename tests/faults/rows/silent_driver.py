"""A driver on one of two hosts: fits over a scheduler, and writes when each iteration ended.

python -m tests.faults.rows.silent_driver SCHEDULER-FILE SOURCE TOLD PASSES
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from distributed import Client

import gmm_dask
from gmm_dask import Configuration
from gmm_dask.fitting.run_loop import Progress
from tests.faults.fits import BLOCK_BYTES, digest

WORKERS = 3


def main(scheduler: str, source: str, told: str, passes: str) -> None:
    configuration = Configuration(3, tol=0, max_iter=int(passes), accelerate=None, seed=1)

    def fitted(client: Client | None, callbacks: tuple[object, ...] = ()) -> str:
        return digest(
            gmm_dask.fit(
                source, configuration, client=client, callbacks=callbacks, block_bytes=BLOCK_BYTES
            )
        )

    with open(told, "a", buffering=1) as out:

        def tell(_: Progress) -> None:
            out.write(json.dumps({"time": time.monotonic()}) + "\n")

        with Client(scheduler_file=scheduler, set_as_default=False) as client:
            client.wait_for_workers(WORKERS, timeout=60)
            heard: list[dict[str, Any]] = []  # schedulers keep the last few
            client.subscribe_topic("gmm-dask", lambda event: heard.append(event[1]))
            found = fitted(client, (tell,))
            attempts = max(event["attempts"] for event in heard if event["event"] == "pass")
        last = {"digest": found, "undisturbed": fitted(None), "attempts": attempts}
        out.write(json.dumps(last) + "\n")


if __name__ == "__main__":
    source = Path(sys.argv[2])
    main(sys.argv[1], str(source), *sys.argv[3:])
