"""Row 41: what a scheduler's memory grows by with every pass of many tasks."""

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import zarr
from dask.utils import key_split
from distributed import Client

from gmm_dask.chunked.engines import shares
from gmm_dask.chunked.engines.dask import DaskEngine
from gmm_dask.chunked.rows import Rows, open_rows
from tests.deploy.processes import DEPLOY
from tests.faults.cluster import Processes, processes_of
from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.ground import ground

WORKERS = 2
TASKS, PASSES, WARM_UP = 1000, 80, 20
"""Of these passes the first let the heap, which grows by large pieces, come to its size."""
BAR = 1.0
"""MB for every 4,000 tasks; it was 23 to 37. A heap takes a while to settle, so that tasks leave
nothing behind is asked of Python's own blocks, of which the record of a task has dozens."""
BLOCKS_BAR = 1.0
"""For every task."""


def flat(scale: Scale, seed: int) -> Outcome:  # noqa: ARG001 - nothing is drawn, nothing small
    """On a scheduler that is set as deploy/dask.yaml says, and on one that nobody has set."""
    outcome = Outcome()
    settings: dict[str, dict[str, str]] = {
        "somebody else's": {},
        "ours": {"DASK_CONFIG": str(DEPLOY / "dask.yaml")},
    }
    with ground() as made:
        rows = many_blocks(made.folder / "many.zarr", TASKS)
        for whose, variables in settings.items():
            with outcome.trying(whose), processes_of(WORKERS, **variables) as processes:
                grown = growth(processes, rows)
                outcome.figures[whose] = json.dumps(grown)
                found, left = grown["MB for 4,000 tasks"], grown["blocks left by a task"]
                assert found <= BAR, f"{found:.1f} MB for every 4,000 tasks"
                assert left <= BLOCKS_BAR, f"a task leaves {left:.1f} blocks"
    return outcome


def many_blocks(path: Path, blocks: int) -> Rows:
    """A block for each task."""
    array = zarr.create_array(str(path), shape=(10 * blocks, 16), dtype="f4", chunks=(10, 16))
    array[:] = 1.0
    return open_rows(path, block_bytes=10 * 16 * 8)


def counted(table: Any, weights: Any, first_row: int, value: int) -> int:  # noqa: ARG001
    return len(table) + value


def know_names() -> None:
    """Fill the table of 100,000 keys whose prefixes Dask remembers: 20 MB, however long a scheduler
    runs, which only 25 passes of 4,000 tasks would come to. With keys as they come off the wire, as
    large as those that take their place."""
    for i in range(key_split.cache_info().maxsize):
        key_split((f"sweep-00000000-it{i // 1000}", i))


def allocated() -> int:
    """Python's blocks of memory."""
    gc.collect()
    return sys.getallocatedblocks()


def growth(processes: Processes, rows: Rows) -> dict[str, Any]:
    """Megabytes of the scheduler's memory, by the straight line through passes after the first."""
    resident: list[float] = []
    began = time.monotonic()
    with Client(processes.address, set_as_default=False) as client:
        client.wait_for_workers(WORKERS, timeout=60)
        client.run_on_scheduler(know_names)
        with patch.object(shares, "LEAST_SECONDS", 1e-5):
            engine = DaskEngine(client, rows, cache="none", tasks_per_thread=len(rows) // WORKERS)
            for step in range(WARM_UP + PASSES):
                engine.map_reduce(counted, 0, step=step)
                if step == WARM_UP:
                    before = client.run_on_scheduler(allocated)
                resident.append(processes.scheduler.memory_info().rss / 1e6)
            engine.close()
        left = client.run_on_scheduler(allocated) - before
    slope = np.polyfit(range(PASSES), resident[WARM_UP:], 1)[0]
    return {
        "MB for 4,000 tasks": round(float(slope) * 4000 / len(rows), 2),
        "blocks left by a task": round(left / (PASSES * len(rows)), 2),
        "MB after every tenth pass": [round(mb) for mb in resident[9::10]],
        "seconds": round(time.monotonic() - began),
    }
