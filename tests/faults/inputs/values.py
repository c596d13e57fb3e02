"""Row 15: a value that cannot be used, anywhere, is named before the first iteration."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask.array
import numpy as np
import zarr
from distributed import Client

from gmm_dask import Configuration, fit
from tests.chunked.conftest import local_cluster, store
from tests.faults.inputs.refusing import refused
from tests.faults.outcome import Outcome, Scale

ROWS, FEATURES, CHUNK, WIDTH = 43, 5, 10, 3
FAULTS = (np.nan, np.inf, -np.inf, 1e160, -1e160)
CHUNKS = [(first, min(first + CHUNK, ROWS) - 1) for first in range(0, ROWS, CHUNK)]
PLACES = [row for first, last in CHUNKS for row in (first, (first + last) // 2, last)]
"""The first, a middle and the last row of each chunk."""


def unusable(scale: Scale, seed: int) -> Outcome:
    """Every fault at every place, in stores of several layouts, here and on a cluster."""
    outcome, draw = Outcome(), np.random.default_rng(seed)
    with TemporaryDirectory(prefix="faults-") as name:
        kinds = [_chunked_both_ways, _sharded, _columns, _npy, _dask]
        for kind in kinds if scale == "full" else kinds[:3]:
            cases = list(product(PLACES, FAULTS))
            kept = len(cases) if scale == "full" else 12
            for i in sorted(draw.permutation(len(cases))[:kept].tolist()):
                _one(outcome, kind, Path(name), *cases[i], int(draw.integers(FEATURES)), None)
        if scale == "full":
            with local_cluster(2) as client:
                for (row, value), kind in product(product(PLACES[::3], FAULTS[::2]), kinds):
                    _one(outcome, kind, Path(name), row, value, 2, client)
        _several(outcome, Path(name))
    return outcome


Kind = Callable[[Path, Any, int, int], tuple[object, dict[str, Any], str]]
"""A folder, rows, and where one is bad: a source, how to open it, and what its chunk is called."""


def _one(
    outcome: Outcome,
    kind: Kind,
    folder: Path,
    row: int,
    value: float,
    column: int,
    client: Client | None,
) -> None:
    rows = np.random.default_rng(1).normal(size=(ROWS, FEATURES))
    rows[row, column] = value
    source, opening, key = kind(folder, rows, row, column)
    address = str(source) if isinstance(source, Path) else "Dask array"
    named = (address, f"row {row} has x{column} = {value:g}", key, f"1 of {ROWS} rows")
    begun: list[object] = []
    with outcome.trying(f"{kind.__name__[1:]}, {value} at {row}, {column}"):
        with refused(*named):
            asked = {"client": client, "callbacks": [begun.append], "block_bytes": 400}
            fit(source, Configuration(2), **asked, **opening)
        assert not begun, "after the first iteration"


def _several(outcome: Outcome, folder: Path) -> None:
    """All faults of all rows are counted, and the first of them is the one that is named."""
    rows = np.random.default_rng(1).normal(size=(ROWS, FEATURES))
    rows[[7, 19, 20, 41], [0, 1, 2, 3]] = np.nan
    path = store(folder / "several.zarr", rows, chunks=(CHUNK, WIDTH))
    with (
        outcome.trying("four faults"),
        refused("row 7 has x0 = nan", f"4 of {ROWS} rows", "19, 20"),
    ):
        fit(path, 2, block_bytes=400)
    with outcome.trying("four faults, skipped"):
        assert fit(path, 2, nonfinite="skip", block_bytes=400).statistics.rows == ROWS - 4
    heights = np.ones(ROWS)
    heights[33] = -1
    clean = np.nan_to_num(rows)
    tiny = np.full(ROWS, 5e-324)
    with outcome.trying("weights without digits"), refused("multiply all of them"):
        fit(clean, 2, weights=tiny)
    with outcome.trying("one of them beside others"):
        tiny[1:] = 1
        fit(clean, 2, weights=tiny)
    with outcome.trying("a negative weight"), refused("row 33 has -1", f"1 of {ROWS} weights"):
        fit(clean, 2, weights=heights)


def _chunked_both_ways(folder: Path, rows: Any, row: int, column: int) -> Any:
    path = Path(store(_fresh(folder), rows, chunks=(CHUNK, WIDTH)))
    return path, {}, f"chunk c/{row // CHUNK}/{column // WIDTH})"


def _sharded(folder: Path, rows: Any, row: int, column: int) -> Any:
    del column
    path = Path(store(_fresh(folder), rows, chunks=(5, FEATURES), shards=(CHUNK, FEATURES)))
    return path, {}, f"chunk c/{row // CHUNK}/0)"


def _columns(folder: Path, rows: Any, row: int, column: int) -> Any:
    """Arrays of one group, each with chunks of its own."""
    path, names = _fresh(folder), [f"x{j}" for j in range(FEATURES)]
    group = zarr.create_group(str(path))
    for j, name in enumerate(names):
        array = group.create_array(name, shape=ROWS, chunks=(CHUNK + j,), dtype="f8")
        array[:] = rows[:, j]
    return path, {"columns": names}, f"chunk x{column}/c/{row // (CHUNK + column)})"


def _npy(folder: Path, rows: Any, row: int, column: int) -> Any:
    path = _fresh(folder).with_suffix(".npy")
    np.save(path, rows)
    return path, {}, f"at byte {128 + 8 * (row * FEATURES + column)})"


def _dask(folder: Path, rows: Any, row: int, column: int) -> Any:
    del folder, column
    return dask.array.from_array(rows, chunks=(CHUNK, WIDTH)), {}, f"Dask chunk {row // CHUNK})"


def _fresh(folder: Path) -> Path:
    return folder / f"rows-{len(list(folder.iterdir()))}.zarr"
