"""A grid in Zarr, by way of xarray: cells in the order of chunks beside a stack that rechunks.

    python -m tests.benchmarks.labelled [--time 24]

The same fit three times, in turns, each pass reading anew: of what one stacks by hand
(`ds.stack(cell=…)`, a Dask array of rows × depths), of `fit(ds, sample_dims=…)`, and of the store
itself. Told are seconds and how many chunks are read, as multiples of those that there are.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import xarray
import zarr
from zarr.storage import LocalStore

from gmm_dask import Configuration, fit
from tests.benchmarks.results import save

SAMPLE = ("time", "lat", "lon")
LAT, LON, DEPTH, CHUNKS = 120, 240, 8, {"time": 6, "lat": 60, "lon": 80, "depth": 8}
ROUNDS = 3


class CountingStore(LocalStore):
    """Counts the chunks that are read."""

    reads = 0

    async def get(self, key: str, *args: Any, **more: Any) -> Any:
        """As files on disk have it."""
        CountingStore.reads += "/c/" in key
        return await super().get(key, *args, **more)


def ocean(path: Path, times: int) -> None:
    """Two water masses, and land."""
    random = np.random.default_rng(0)
    shape = times, LAT, LON, DEPTH
    values = random.normal(size=shape) + 6 * random.integers(0, 2, shape[:3])[..., None]
    values[:, random.random((LAT, LON)) < 0.3] = np.nan
    made = xarray.Dataset({"TEMP": ((*SAMPLE, "depth"), values.astype("f4"))})
    made.chunk(CHUNKS).to_zarr(path, zarr_format=3, consolidated=False)


def ways(path: Path) -> dict[str, Callable[[], Any]]:
    """What is fitted, by what it is called."""
    store = CountingStore(path, read_only=True)
    opened = xarray.open_zarr(store, consolidated=False)

    def stacked() -> Any:
        return opened["TEMP"].stack(cell=SAMPLE).transpose("cell", "depth").data

    settings = Configuration(2, seed=0, tol=None, max_iter=3, accelerate=None, sample_rows=2000)
    asked = {"cache": "none"}
    dims = {"sample_dims": SAMPLE, **asked}
    return {
        "stacked by hand": lambda: fit(stacked(), settings, nonfinite="skip", **asked),
        "fit(ds, sample_dims=…)": lambda: fit(opened, settings, **dims),
        "fit(store, sample_dims=…)": lambda: fit(
            zarr.open_group(store, mode="r"), settings, **dims
        ),
    }


def measured(way: Callable[[], Any], chunks: int) -> dict[str, float]:
    """Of one fit."""
    CountingStore.reads, began = 0, perf_counter()
    found = way()
    seconds = perf_counter() - began
    return {
        "seconds": seconds,
        "chunks read a pass": CountingStore.reads / chunks / (found.passes + 1),
        "mean log-likelihood": found.mean_log_likelihood,
    }


def main() -> None:
    """All ways, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time", type=int, default=24)
    times = parser.parse_args().time
    with TemporaryDirectory() as folder:
        path = Path(folder, "ocean.zarr")
        ocean(path, times)
        chunks = zarr.open_array(path / "TEMP", mode="r").nchunks
        rounds = [
            {name: measured(way, chunks) for name, way in ways(path).items()}
            for _ in range(ROUNDS + 1)
        ][1:]
    found = {
        name: {key: median(one[name][key] for one in rounds) for key in rounds[0][name]}
        for name in rounds[0]
    }
    print(f"{times * LAT * LON:,} cells of {DEPTH} depths, {chunks} chunks, K = 2, 4 passes")
    for name, one in found.items():
        told = ", ".join(f"{key} {value:.4g}" for key, value in one.items())
        print(f"{name:<28} {told}")
    save("labelled", {"cells": times * LAT * LON, "chunks": chunks, "ways": found})


if __name__ == "__main__":
    main()
