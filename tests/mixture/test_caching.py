"""Loops have the same bits in the process that compiles them as where they are found compiled."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gmm_dask.mixture.compiling import compiles

SUMS = """
import hashlib
import numpy as np
from gmm_dask.fitting import evaluate
from gmm_dask.mixture.parameters import Mixture

for apart in (0.3, 4.0):
    random = np.random.default_rng(0)
    means = apart * random.normal(size=(6, 20))
    mixture = Mixture(np.full(6, 1 / 6), means, np.broadcast_to(np.eye(20), (6, 20, 20)).copy())
    rows = mixture.sample(4000, random)[0]
    found = evaluate(rows, mixture)
    print(hashlib.sha256(found.means.tobytes() + found.scatter.tobytes()).hexdigest())
"""


@pytest.mark.skipif(not compiles(), reason="nothing is compiled without numba")
def test_the_process_that_compiles_has_the_bits_of_all_others(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", SUMS]
    told = [
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        for _ in range(2)
    ]
    assert list(tmp_path.rglob("*.nbi"))
    assert told[0] == told[1]
    assert len(set(told[0].split())) == 2
