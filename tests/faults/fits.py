"""The fit that is disturbed: small, of many blocks, and of sums that depend on their order."""

import hashlib
import json
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

import gmm_dask
from gmm_dask import Configuration, Fit, Rows
from gmm_dask.chunked.engines import shares
from tests.chunked.conftest import store

SWEEPS = 12
CONFIGURATION = Configuration(3, tol=0, max_iter=SWEEPS - 1, seed=1)
BLOCK_ROWS, FEATURES, BLOCKS = 250, 4, 41
BLOCK_BYTES = BLOCK_ROWS * FEATURES * 8


def stored_rows(path: Path) -> str:
    """10,003 rows of three clusters that overlap, in 41 chunks."""
    draw = np.random.default_rng(5)
    size = BLOCK_ROWS * (BLOCKS - 1) + 3
    centres = np.array([[0, 0, 0, 0], [2, 1, 0, 1], [0, 2, 2, 0]])
    rows = centres[draw.integers(3, size=size)] + draw.normal(size=(size, FEATURES))
    return store(path, rows, chunks=(BLOCK_ROWS, FEATURES))


def fitted(source: object, *, small_tasks: bool = True, **conduct: Any) -> Fit:
    """By as many tasks in every pass as in the first, for faults to strike between: so short a
    pass would otherwise be a task a thread."""
    if not isinstance(source, Rows):
        conduct["block_bytes"] = BLOCK_BYTES
    least = 0.0001 if small_tasks else shares.LEAST_SECONDS
    with patch.object(shares, "LEAST_SECONDS", least):
        return gmm_dask.fit(source, CONFIGURATION, **conduct)


def digest(fit: Fit) -> str:
    """A hash of every bit of the mixture, and of the history but for its times."""
    mixture = fit.mixture
    content = hashlib.sha256()
    for array in (mixture.weights, mixture.means, mixture.covariances):
        content.update(np.ascontiguousarray(array).tobytes())
    content.update(json.dumps(without_times(fit), sort_keys=True).encode())
    return content.hexdigest()


def without_times(fit: Fit) -> list[dict[str, Any]]:
    times = ("seconds", "time")
    return [{k: v for k, v in entry.items() if k not in times} for entry in fit.history]


def recovery(fit: Fit, sweep: int) -> float:
    """Seconds that a disturbed pass took beyond what passes of this fit take."""
    usual = median(entry["seconds"] for entry in fit.history)
    return fit.history[sweep]["seconds"] - usual
