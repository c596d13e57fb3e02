"""Loops have the same bits in the process that compiles them as where they are found compiled."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gmm_dask.mixture.compilation import compiles

SUMS = """
import hashlib
import numpy as np
from gmm_dask.fitting.fit import evaluate
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
    compiled, fresh = tmp_path / "compiled", tmp_path / "fresh"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(compiled)}
    command = [sys.executable, "-c", SUMS]
    told = [
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        for _ in range(2)
    ]
    kept = {path.relative_to(compiled) for path in compiled.rglob("*.nb?")}
    assert kept
    assert told[0] == told[1]
    assert len(set(told[0].split())) == 2
    # An image has them where nothing may be written.
    environment |= {"NUMBA_CACHE_DIR": str(fresh), "GMM_DASK_COMPILED": str(compiled)}
    again = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert again.stdout == told[0]
    assert {path.relative_to(fresh) for path in fresh.rglob("*.nb?")} == kept


TINY = """
from numba import types
from gmm_dask.mixture.compiled.caching import cached

@cached(types.float64(types.float64))
def twice(x):
    return 2 * x

print(twice(21.0))
"""


@pytest.mark.skipif(not compiles(), reason="nothing is compiled without numba")
def test_unlike_processors_share_no_file_of_a_folder_that_they_share(tmp_path: Path) -> None:
    """numba numbers files by an index that they would share: two at once give theirs one name."""
    (tmp_path / "tiny.py").write_text(TINY)
    shared = tmp_path / "shared"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(shared)}
    found: list[dict[Path, int]] = [{}]
    for target in ({}, {"NUMBA_CPU_NAME": "generic"}) * 2:
        command = [sys.executable, str(tmp_path / "tiny.py")]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment | target
        )
        assert done.stdout == "42.0\n"
        found.append({path: path.stat().st_mtime_ns for path in shared.rglob("*.nb?")})
        assert found[-2].items() <= found[-1].items(), "nothing of the others was written anew"
    assert [len(files) for files in found] == [0, 2, 4, 4, 4], "an index and its one file, once"
