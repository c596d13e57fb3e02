"""A grid in Zarr, by way of xarray: cells in the order of chunks beside a stack that rechunks.

    python -m tests.benchmarks.labelled [--time 24]

The same fit four times, in turns, each pass reading anew: of what one stacks by hand
(`ds.stack(cell=…)`, a Dask array of rows × depths), of `fit(ds, sample_dims=…)`, of the store
itself, and of the same rows in a table. Told are seconds and how many chunks are read in a pass, as
multiples of those that there are.
"""

import argparse
from collections.abc import Callable
from math import prod
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import xarray
import zarr
from zarr.storage import LocalStore

from gmm_dask import Configuration, fit, open_rows
from tests.benchmarks.results import save

SAMPLE = ("time", "lat", "lon")
LAT, LON, DEPTH, CHUNKS = 120, 240, 8, {"time": 6, "lat": 60, "lon": 80, "depth": 8}
ROUNDS = 3


class CountingStore(LocalStore):
    """Counts the chunks that are read, at once or on Zarr's loop."""

    reads = 0

    async def get(self, key: str, *args: Any, **more: Any) -> Any:
        """As files on disk have it."""
        CountingStore.reads += "/c/" in f"/{key}"
        return await super().get(key, *args, **more)

    def get_sync(self, key: str, *args: Any, **more: Any) -> Any:
        """The same."""
        CountingStore.reads += "/c/" in f"/{key}"
        return super().get_sync(key, *args, **more)


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
    table = zarr.open_array(CountingStore(table_of(path), read_only=True), mode="r")

    def stacked() -> Any:
        return opened["TEMP"].stack(cell=SAMPLE).transpose("cell", "depth").data

    settings = Configuration(2, seed=0, tol=None, max_iter=3, accelerate=None, sample_rows=2000)
    asked = {"cache": "none"}
    dims = {"sample_dims": SAMPLE, **asked}
    group = zarr.open_group(store, mode="r")
    return {
        "stacked by hand": lambda: fit(stacked(), settings, nonfinite="skip", **asked),
        "fit(ds, sample_dims=…)": lambda: fit(opened, settings, **dims),
        "fit(store, sample_dims=…)": lambda: fit(group, settings, **dims),
        "these rows in a table": lambda: fit(table, settings, nonfinite="skip", **asked),
    }


def table_of(path: Path) -> Path:
    """The rows as they would lie in a table, in chunks as large."""
    place = path.with_name("table.zarr")
    if not place.exists():
        rows = open_rows(str(path), sample_dims=SAMPLE)
        values = np.concatenate([rows.read_all(i)[0] for i in range(len(rows))])
        zarr.create_array(place, data=values, chunks=(prod(CHUNKS.values()) // DEPTH, DEPTH))
    return place


def seconds(way: Callable[[], Any]) -> float:
    """Of one fit."""
    began = perf_counter()
    way()
    return perf_counter() - began


def read(way: Callable[[], Any], chunks: int) -> float:
    """How often it reads a chunk in one pass; the first one draws a sample, and is one too."""
    CountingStore.reads = 0
    passes = way().passes + 1
    return CountingStore.reads / chunks / passes


def main() -> None:
    """All ways, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time", type=int, default=24)
    times = parser.parse_args().time
    with TemporaryDirectory() as folder:
        path = Path(folder, "ocean.zarr")
        ocean(path, times)
        chunks = zarr.open_array(path / "TEMP", mode="r").nchunks
        fits = ways(path)
        reads = {name: read(way, chunks) for name, way in fits.items()}
        rounds = [{name: seconds(way) for name, way in fits.items()} for _ in range(ROUNDS)]
    found = {
        name: {"chunks read a pass": reads[name], "seconds": median(r[name] for r in rounds)}
        for name in reads
    }
    print(f"{times * LAT * LON:,} cells of {DEPTH} depths, {chunks} chunks, K = 2")
    for name, one in found.items():
        print(f"{name:<28} {', '.join(f'{key} {value:.3g}' for key, value in one.items())}")
    save("labelled", {"cells": times * LAT * LON, "chunks": chunks, "ways": found})


if __name__ == "__main__":
    main()
