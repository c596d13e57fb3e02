"""Row 41: what a scheduler's memory grows by with every pass of many tasks."""

import json
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import zarr
from distributed import Client

from gmm_dask.chunked import dealing
from gmm_dask.chunked.cluster import DaskEngine
from gmm_dask.chunked.rows import Rows, open_rows
from tests.deploy.processes import DEPLOY
from tests.faults.cluster import Processes, processes_of
from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.ground import ground

WORKERS = 2
TASKS: dict[Scale, int] = {"full": 4000, "small": 400}
WARM_UP: dict[Scale, int] = {"full": 3, "small": 12}
PASSES: dict[Scale, int] = {"full": 8, "small": 24}
BAR = 0.5
"""MB a pass of 4,000 tasks, once what is kept has come to its length."""


def flat(scale: Scale, seed: int) -> Outcome:  # noqa: ARG001 - nothing is drawn
    """On a scheduler that is set as deploy/dask.yaml says, and on one that nobody has set."""
    outcome = Outcome()
    settings: dict[str, dict[str, str]] = {
        "somebody else's": {},
        "ours": {"DASK_CONFIG": str(DEPLOY / "dask.yaml")},
    }
    with ground() as made:
        rows = many_blocks(made.folder / "many.zarr", TASKS[scale])
        for whose, variables in settings.items():
            with outcome.trying(whose), processes_of(WORKERS, **variables) as processes:
                grown = growth(processes, rows, WARM_UP[scale], PASSES[scale])
                outcome.figures[whose] = json.dumps({k: round(v, 2) for k, v in grown.items()})
                bar = BAR if scale == "full" else 1.0
                assert grown["MB a pass"] <= bar, f"{grown['MB a pass']:.1f} MB a pass"
    return outcome


def many_blocks(path: Path, blocks: int) -> Rows:
    """A block for each task."""
    array = zarr.create_array(str(path), shape=(10 * blocks, 16), dtype="f4", chunks=(10, 16))
    array[:] = 1.0
    return open_rows(path, block_bytes=10 * 16 * 8)


def counted(table: Any, weights: Any, first_row: int, value: int) -> int:  # noqa: ARG001
    return len(table) + value


def growth(processes: Processes, rows: Rows, warm_up: int, passes: int) -> dict[str, float]:
    """Megabytes of the scheduler's memory, by the straight line through passes after the first."""
    resident: list[float] = []
    began = time.monotonic()
    with Client(processes.address, set_as_default=False) as client:
        client.wait_for_workers(WORKERS, timeout=60)
        with patch.object(dealing, "LEAST_SECONDS", 1e-5):
            engine = DaskEngine(client, rows, cache="none", tasks_per_thread=len(rows) // WORKERS)
            for step in range(warm_up + passes):
                engine.map_reduce(counted, 0, step=step)
                resident.append(processes.scheduler.memory_info().rss / 1e6)
            engine.close()
    slope = np.polyfit(range(passes), resident[warm_up:], 1)[0]
    seconds = time.monotonic() - began
    return {"MB a pass": float(slope), "MB at the end": resident[-1], "seconds": seconds}
