"""Row 16: numbers of every type are those that their float64 cast has; all else is refused, before
a cluster is started, in one sentence."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask.array
import numpy as np
import zarr
from distributed import LocalCluster

from gmm_dask import Configuration, fit, select
from gmm_dask.cli import execution
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.job import Job
from gmm_dask.settings.rows import RowOptions
from tests.chunked.conftest import store
from tests.faults.inputs.refusing import refused
from tests.faults.outcome import Outcome, Scale

ACCEPTED = tuple(
    f"{order}{kind}"
    for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
    for order in "<>"
    if not (order == ">" and kind.endswith("1"))
)
FITTED = Configuration(3, tol=0, max_iter=12)
ALL = RowOptions()
STARTED: list["CountedCluster"] = []


class CountedCluster(LocalCluster):
    """A real cluster; how many were begun is known."""

    def __init__(self, **arguments: Any) -> None:
        STARTED.append(self)
        super().__init__(**arguments)


COUNTED = ClusterOptions(
    kind=f"{__name__}.CountedCluster",
    arguments={
        "n_workers": 1,
        "processes": False,
        "dashboard_address": "127.0.0.1:0",
        "host": "127.0.0.1",
        "protocol": "tcp://",
    },
)


def numbers(scale: Scale, seed: int) -> Outcome:
    """What is accepted, then what is refused."""
    outcome = Outcome()
    with TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        for dtype in ACCEPTED if scale == "full" else (">f2", "<f4", ">i2", "<u8"):
            for kind in STORED if scale == "full" else STORED[:2]:
                with outcome.trying(f"{dtype} in {kind.__name__}"):
                    _same_as_cast(kind, folder, dtype, seed)
        for what, source, told in _no_numbers(folder):
            with outcome.trying(what), refused(*told):
                fit(source, FITTED)
        with outcome.trying("K of NumPy's integers"):
            found = select(_rows("f8", 0), np.arange(1, 3))
            assert len(found.table) == 2
            assert fit(_rows("f8", 0), np.int64(2)).mixture.components == 2  # type: ignore[arg-type]
        STARTED.clear()
        for what, job, told in _no_jobs(folder):
            with outcome.trying(f"{what}, by a job"), refused(*told):
                execution.fit(job(), restart=False)
        with outcome.trying("no cluster was started for any of them"):
            assert not STARTED
            execution.fit(
                _job(store(folder / "good.zarr", _rows("f8", 0), chunks=(40, 3))), restart=False
            )
            assert len(STARTED) == 1, "the count counts nothing"
    return outcome


def _rows(dtype: str, seed: int) -> Any:
    """Three clusters in small whole numbers and halves, which every type holds."""
    draw = np.random.default_rng(seed)
    centres = np.array([[20, 20, 20], [60, 20, 40], [20, 90, 60]])
    rows = centres[draw.integers(3, size=300)] + draw.integers(-9, 10, size=(300, 3))
    return (rows + 0.5 if dtype[-2] == "f" else rows).astype(dtype)


def _same_as_cast(kind: Callable[..., Any], folder: Path, dtype: str, seed: int) -> None:
    rows = _rows(dtype, seed)
    found = fit(kind(folder, rows), FITTED, block_bytes=960).mixture
    wanted = fit(rows.astype("f8"), FITTED, block_bytes=960).mixture
    for one in ("weights", "means", "covariances"):
        np.testing.assert_allclose(
            getattr(found, one), getattr(wanted, one), rtol=1e-12, atol=1e-12
        )


def _zarr(folder: Path, rows: Any) -> Any:
    return store(_fresh(folder), rows, chunks=(40, 2), zarr_format=2)


def _npy(folder: Path, rows: Any) -> Any:
    path = _fresh(folder).with_suffix(".npy")
    np.save(path, rows)
    return path


def _dask(folder: Path, rows: Any) -> Any:
    del folder
    return dask.array.from_array(rows, chunks=(40, 2))


def _memory(folder: Path, rows: Any) -> Any:
    del folder
    return rows


STORED = (_zarr, _dask, _npy, _memory)


def _no_numbers(folder: Path) -> list[tuple[str, Any, tuple[str, ...]]]:
    """What it is, the thing itself, and what has to be said of it."""
    values = {
        "complex": (np.ones((9, 2), complex), "two features"),
        "bool": (np.ones((9, 2), bool), "int8"),
        "dates": (np.zeros((9, 2), "M8[s]"), "dates to numbers"),
        "durations": (np.zeros((9, 2), "m8[s]"), "durations to numbers"),
        "fixed text": (np.full((9, 2), "ab"), "encode it"),
        "bytes": (np.full((9, 2), b"ab"), "encode it"),
        "objects": (np.full((9, 2), None), "numeric dtype"),
        "structured": (np.zeros(9, "f8,f8"), "separate columns"),
        "0-D": (np.float64(3), "0 dimensions"),
        "3-D": (np.ones((9, 2, 2)), "3 dimensions"),
        "0 rows": (np.ones((0, 2)), "0 rows"),
        "0 columns": (np.ones((9, 0)), "0 features"),
    }
    found = [(f"{what} in memory", value, (told,)) for what, (value, told) in values.items()]
    for what in ("complex", "bool", "dates", "fixed text", "0-D", "3-D", "0 rows", "0 columns"):
        value, told = values[what]
        path = folder / f"{what}.zarr"
        zarr.create_array(
            str(path), shape=value.shape, dtype=value.dtype, zarr_format=2,
            chunks=tuple(max(side, 1) for side in value.shape),
        )  # fmt: skip
        found.append((f"{what} in Zarr", path, (str(path), told)))
    for what in ("complex", "bool", "objects", "3-D", "0 rows"):
        value, told = values[what]
        found.append((f"{what} in Dask", dask.array.from_array(value, chunks=-1), (told,)))
    for what in ("complex", "objects", "structured", "3-D", "0 columns"):
        value, told = values[what]
        np.save(folder / f"{what}.npy", value, allow_pickle=True)
        found.append((f"{what} in .npy", folder / f"{what}.npy", (f"{what}.npy",)))
    return [*found, *_other_blocks()]


def _other_blocks() -> list[tuple[str, Any, tuple[str, ...]]]:
    """Dask arrays whose blocks come out otherwise than they are declared."""
    good = dask.array.from_array(_rows("f8", 1), chunks=(40, 3))
    ways: dict[str, tuple[Callable[[Any], Any], str]] = {
        "complex": (lambda block: block + 1j, "complex128"),
        "bool": (lambda block: block > 0, "bool"),
        "objects": (lambda block: block.astype(object), "object"),
        "masked": (lambda block: np.ma.masked_array(block, block > 30), "MaskedArray"),
        "half of the rows": (lambda block: block[::2], "is declared ("),
        "a column less": (lambda block: block[:, 1:], "is declared ("),
    }
    return [
        (f"Dask blocks with {what}", good.map_blocks(way, meta=np.empty((0, 0))), (told,))
        for what, (way, told) in ways.items()
    ]


def _no_jobs(folder: Path) -> list[tuple[str, Callable[[], Job], tuple[str, ...]]]:
    """The same as jobs that ask for a cluster; and numbers of components that cannot be."""
    stored = [case for case in _no_numbers(_made(folder / "again")) if isinstance(case[1], Path)]
    good = store(folder / "enough.zarr", _rows("f8", 2), chunks=(40, 3))
    jobs = [(what, _later(str(path)), told) for what, path, told in stored]
    return [
        *jobs,
        ("K > rows", _later(good, components=301), ("301 components", "300")),
        ("K > range", _later(good, 9, RowOptions(first_row=5, last_row=13)), ("9 components", "8")),
        ("K > the sample", _later(good, 9, sample_rows=8), ("9 components", "8", "sample_rows")),
        ("K = 0", _later(good, components=0), ("components", "from 1 up")),
        ("K = -3", _later(good, components=-3), ("components", "from 1 up")),
        ("K = true", _later(good, components=True), ("components", "from 1 up")),
        ("seed = -1", _later(good, seed=-1), ("seed", "from 0 up")),
        ("no such array", _later(good, 2, RowOptions(array="x")), ("choose within a Zarr group",)),
        ("no such feature", _later(good, 2, RowOptions(features=("y",))), ("no feature 'y'",)),
    ]  # fmt: skip


def _later(source: str, components: int = 2, rows: RowOptions = ALL, **settings: Any) -> Any:
    return lambda: _job(source, components, rows, **settings)


def _job(source: str, components: int = 2, rows: RowOptions = ALL, **settings: Any) -> Job:
    mixture = Configuration(components, **settings)
    run = f"{source}-run"
    return Job(source, mixture, rows=rows, cluster=COUNTED, run=run)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _fresh(folder: Path) -> Path:
    return folder / f"rows-{len(list(folder.iterdir()))}.zarr"
