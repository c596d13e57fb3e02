"""Row 17: however rows are cut into chunks, the fit is the same, or the refusal is clear."""

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask.array
import numpy as np
import xarray
import zarr
from distributed import Client

from gmm_dask import Configuration, Mixture, fit
from tests.chunked.conftest import local_cluster, store
from tests.faults.outcome import Outcome, Scale

FEATURES = 4
SIZES = {"small": (101, 2, 1), "full": (517, 5, 3)}
"""Rows, iterations, and how often all chunkings are drawn. A row a chunk makes many tasks."""
BAR = 1e-10


def cut(scale: Scale, seed: int) -> Outcome:
    """Drawn and awkward chunkings, by both engines, against the rows in one piece."""
    outcome, draw = Outcome(), np.random.default_rng(seed)
    size, iterations, turns = SIZES[scale]
    rows, fitted = _rows(size, seed), Configuration(3, tol=0, max_iter=iterations)
    wanted = fit(rows, fitted).mixture
    with TemporaryDirectory(prefix="faults-") as name:
        cuttings = [way for _ in range(turns) for way in _ways(Path(name), rows, draw)]
        for what, source, opening in cuttings:
            _compare(outcome, what, wanted, source, opening, None, fitted)
        if scale == "full":
            with local_cluster(2) as client:
                for what, source, opening in cuttings[: len(cuttings) // turns]:
                    told = f"{what}, on a cluster"
                    _compare(outcome, told, wanted, source, opening, client, fitted)
    return outcome


def _rows(size: int, seed: int) -> Any:
    draw = np.random.default_rng(seed + 100)
    centres = np.array([[0, 0, 0, 0], [3, 2, 0, 1], [0, 3, 3, 0]])
    return centres[draw.integers(3, size=size)] + draw.normal(size=(size, FEATURES))


def _compare(
    outcome: Outcome,
    what: str,
    wanted: Mixture,
    source: object,
    opening: dict[str, Any],
    client: Client | None,
    fitted: Configuration,
) -> None:
    with outcome.trying(what):
        for cache in ("memory", "none"):
            found = fit(source, fitted, client=client, cache=cache, **opening).mixture
            worst = difference(found, wanted)
            outcome.figures["largest difference"] = max(
                worst, outcome.figures.get("largest difference", 0.0)
            )
            assert worst <= BAR, f"differs by {worst:.1e}"


def difference(one: Mixture, other: Mixture) -> float:
    """Of any parameter, relative to the largest of its kind."""
    pairs = (
        (getattr(one, name), getattr(other, name)) for name in ("weights", "means", "matrices")
    )
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def _ways(
    folder: Path, rows: Any, draw: np.random.Generator
) -> list[tuple[str, Any, dict[str, Any]]]:
    """What it is, the source, how it is opened."""
    small = {"block_bytes": int(draw.integers(32, 4000))}
    lengths, widths = _parts(draw, len(rows), 40), _parts(draw, FEATURES, FEATURES)
    return [
        ("Zarr, along both", _zarr(folder, rows, chunks=_sides(draw)), small),
        ("Zarr, one row a chunk", _zarr(folder, rows, chunks=(1, FEATURES)), small),
        ("Zarr, a chunk beyond the end", _zarr(folder, rows, chunks=(600, 7)), small),
        ("Zarr v2", _zarr(folder, rows, chunks=_sides(draw), zarr_format=2), small),
        (
            "Zarr, Fortran order",
            _zarr(folder, rows, chunks=_sides(draw), zarr_format=2, order="F"),
            small,
        ),
        ("Zarr, shards", _zarr(folder, rows, chunks=(7, 1), shards=(21, 4)), small),
        ("a group's columns", _group(folder, rows, draw), {**small, "columns": list("abcd")}),
        ("Dask, irregular", _dask(rows, lengths, widths), small),
        ("Dask, with empty chunks", _dask(rows, _with_zeros(draw, lengths), widths), small),
        ("Dask, one row a chunk", _dask(rows, [1] * len(rows), [1] * FEATURES), small),
        ("Dask, unknown lengths", _unknown(rows, draw), small),
        ("Dask of Zarr", dask.array.from_zarr(_zarr(folder, rows, chunks=_sides(draw))), small),
        ("xarray", xarray.DataArray(rows, dims=("row", "f")).chunk({"row": tuple(lengths)}), small),
        ("strided memory", np.repeat(np.repeat(rows, 2, 0), 3, 1)[::2, ::3], small),
        ("reversed twice", np.ascontiguousarray(rows[::-1, ::-1])[::-1, ::-1], small),
    ]


def _zarr(folder: Path, rows: Any, **layout: Any) -> str:
    return store(folder / f"rows-{len(list(folder.iterdir()))}.zarr", rows, **layout)


def _group(folder: Path, rows: Any, draw: np.random.Generator) -> Path:
    """Columns as arrays of one group, each with chunks of its own."""
    path = folder / f"group-{len(list(folder.iterdir()))}.zarr"
    group = zarr.create_group(str(path))
    for j, name in enumerate("abcd"):
        array = group.create_array(
            name, shape=len(rows), chunks=int(draw.integers(1, 90)), dtype="f8"
        )
        array[:] = rows[:, j]
    return path


def _dask(rows: Any, lengths: list[int], widths: list[int]) -> dask.array.Array:
    """Blocks cut apart and put together again, of any lengths."""
    cuts = np.cumsum([0, *lengths])
    across = np.cumsum([0, *widths])
    parts = [
        [
            dask.array.from_array(rows[first:last, left:right], chunks=-1)
            for left, right in pairwise(across)
        ]
        for first, last in pairwise(cuts)
    ]
    return dask.array.concatenate([dask.array.concatenate(row, axis=1) for row in parts], axis=0)


def _unknown(rows: Any, draw: np.random.Generator) -> dask.array.Array:
    """What is left of more rows by a mask, so that Dask does not know how many they are."""
    keep = np.sort(draw.permutation(2 * len(rows))[: len(rows)])
    wide, mask = np.full((2 * len(rows), FEATURES), np.nan), np.zeros(2 * len(rows), dtype=np.bool_)
    wide[keep], mask[keep] = rows, True
    length = int(draw.integers(5, 300))
    return dask.array.from_array(wide, chunks=(length, 2))[dask.array.from_array(mask, length)]


def _sides(draw: np.random.Generator) -> tuple[int, int]:
    return int(draw.integers(3, 120)), int(draw.integers(1, FEATURES + 1))


def _parts(draw: np.random.Generator, whole: int, most: int) -> list[int]:
    """Lengths that sum to the whole."""
    parts: list[int] = []
    while sum(parts) < whole:
        parts.append(int(min(draw.integers(1, most + 1), whole - sum(parts))))
    return parts


def _with_zeros(draw: np.random.Generator, parts: list[int]) -> list[int]:
    """The same with empty ones among them, and at both ends."""
    places = sorted(draw.integers(len(parts), size=3).tolist())
    return [
        0,
        *(n for i, part in enumerate(parts) for n in ([0, part] if i in places else [part])),
        0,
    ]
