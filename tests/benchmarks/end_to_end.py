"""A fit from files to the model: wall time, peak memory and bytes read, ours and the peers'.

    python -m tests.benchmarks.end_to_end [--rows 5000000] [--passes 20]

A compressed Zarr store of 5,000,000 x 16 float32 on disk (for Spark the same rows in Parquet),
K = 16, 20 passes. Ours on two workers, cached and streaming; scikit-learn after loading the store;
Spark MLlib on two cores. Memory and bytes are those of the contender and all its processes: the
largest sum of resident sets, and what was read by any call (`rchar`), sampled ten times a second.
A contender that fails is left out with a sentence. Saved in results/end_to_end.json.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import zarr

from tests.benchmarks.peers.environments import ROOT, python_of
from tests.benchmarks.results import save

HERE = Path(__file__).parent
FEATURES, COMPONENTS, CHUNK = 16, 16, 100_000
LONGEST = 600.0
"""Seconds that a contender may take."""


def make(folder: Path, rows: int) -> tuple[Path, Path]:
    """The same rows as a Zarr store and as a Parquet file."""
    random = np.random.default_rng(0)
    means = random.normal(size=(COMPONENTS, FEATURES)) * 3
    store, parquet = folder / "rows.zarr", folder / "rows.parquet"
    array = zarr.create_array(
        store, shape=(rows, FEATURES), chunks=(min(rows, CHUNK), FEATURES), dtype="f4"
    )
    names = [f"x{i}" for i in range(FEATURES)]
    with pq.ParquetWriter(parquet, pa.schema([(name, pa.float32()) for name in names])) as writer:
        for start in range(0, rows, CHUNK):
            size = min(CHUNK, rows - start)
            block = random.standard_normal((size, FEATURES), dtype=np.float32)
            block += means[random.integers(COMPONENTS, size=size)].astype(np.float32)
            array[start : start + size] = block
            columns = [np.ascontiguousarray(column) for column in block.T]
            writer.write_table(pa.table(dict(zip(names, columns, strict=True))))
    return store, parquet


def watched(command: list[str], limit: float) -> dict[str, Any]:
    """What the contender says, with its peak memory and the bytes that it and its children read."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    peak, read, end = 0, dict[int, int](), time.monotonic() + limit
    root = psutil.Process(process.pid)
    while process.poll() is None:
        if time.monotonic() > end:
            for one in (*root.children(recursive=True), root):
                one.kill()
            process.communicate()
            return {"failed": f"not done in {limit:.0f} s"}
        resident = 0
        for one in family_of(root):
            try:
                resident += one.memory_info().rss
                read[one.pid] = one.io_counters().read_chars
            except psutil.Error:
                continue
        peak = max(peak, resident)
        time.sleep(0.1)
    out = process.communicate()[0]
    if process.returncode or not out:
        return {"failed": f"ended with {process.returncode}"}
    return json.loads(out.splitlines()[-1]) | {"peak_bytes": peak, "read_bytes": sum(read.values())}


def family_of(root: psutil.Process) -> list[psutil.Process]:
    """A process and all that it started, as far as they are still there."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def contenders(store: Path, parquet: Path, passes: int) -> dict[str, list[str]]:
    """Their commands."""
    ours = [sys.executable, "-m", "tests.benchmarks.contenders.gmm_dask_", str(store)]
    told = [str(COMPONENTS), str(passes)]
    sklearn = [sys.executable, "-m", "tests.benchmarks.contenders.scikit_learn", str(store)]
    spark = [str(python_of("spark")), str(HERE / "contenders" / "spark.py"), str(parquet)]
    return {
        "gmm-dask, cached": [*ours, "cached", *told],
        "gmm-dask, streaming": [*ours, "streaming", *told],
        "scikit-learn": [*sklearn, *told],
        "Spark MLlib": [*spark, *told],
    }


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--passes", type=int, default=20)
    parser.add_argument("--limit", type=float, default=LONGEST)
    options = parser.parse_args()
    results = {}
    with TemporaryDirectory() as folder:
        store, parquet = make(Path(folder), options.rows)
        print(f"{options.rows:,} x {FEATURES} float32, K = {COMPONENTS}, {options.passes} passes")
        print(f"{'':<22}{'seconds':>9}{'peak GB':>9}{'GB read':>9}")
        for name, command in contenders(store, parquet, options.passes).items():
            found = results[name] = watched(command, options.limit)
            if "failed" in found:
                print(f"{name:<22} {found['failed']}", flush=True)
                continue
            made = found.get("iterations", options.passes)
            fewer = f"   only {made} iterations" if made != options.passes else ""
            print(
                f"{name:<22}{found['seconds']:>9.1f}{found['peak_bytes'] / 1e9:>9.2f}"
                f"{found['read_bytes'] / 1e9:>9.2f}{fewer}",
                flush=True,
            )
            save("end_to_end", {"rows": options.rows, "passes": options.passes} | {"by": results})
    return int(any("failed" in found for found in results.values()))


if __name__ == "__main__":
    sys.exit(main())
