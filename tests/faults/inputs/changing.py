"""Row 28: rows that are written to while they are fitted.

What is fitted is streamed, and a pass later the fit is refused in a sentence that says what was
found; where the rows are put back, its run goes on to the end that it would have had.
"""

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import zarr

import gmm_dask
from gmm_dask import Configuration, DataError, Mixture
from gmm_dask.fitting.run_loop import Progress
from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.positive import NotPositiveDefiniteError
from tests.chunked.conftest import local_cluster, store
from tests.faults.fits import digest
from tests.faults.outcome import Outcome, Scale

ROWS, FEATURES, CHUNK = 20_000, 4, 1000
BLOCKS: dict[str, Any] = {"block_bytes": 8 * FEATURES * CHUNK, "cache": "none"}
ASKED = Configuration(3, tol=0, max_iter=12, seed=2)

Strike = Callable[[Array, Array], None]


def _one_value(rows: Array, _weights: Array) -> None:
    rows[4711, 2] += 3


def _moved(rows: Array, _weights: Array) -> None:
    rows[5000:6000] += 50


def _wider(rows: Array, weights: Array) -> None:
    """The mean stays to the last digits."""
    part = rows[5000:6000, 1]
    mean = np.average(part, weights=weights[5000:6000])
    rows[5000:6000, 1] = mean + 1.01 * (part - mean)


def _lost(rows: Array, _weights: Array) -> None:
    rows[4711] = np.nan


def _weighed(_rows: Array, weights: Array) -> None:
    weights[4711] += 1


STRIKES: dict[str, tuple[Strike, str]] = {
    "a value": (_one_value, "the mean of x2 was .* and is "),
    "a chunk moved": (_moved, "the mean of x. was .* and is "),
    "a chunk made wider": (_wider, "the variance of x1 was .* and is "),
    "a row no longer finite": (_lost, "their weights together were .* and are "),
    "a weight": (_weighed, "their weights together were .* and are "),
}

FITS: dict[str, Configuration] = {
    "accelerated": ASKED,
    "plain": replace(ASKED, accelerate=None),
    "diag": replace(ASKED, covariance="diag"),
    "restarts": replace(ASKED, n_init=4, finalists=3),
    "dropped": replace(ASKED, components=12, degenerate="drop", reg_covar=0.0),
}


def rewritten(scale: Scale, seed: int) -> Outcome:
    """Every change in every kind of fit, here and on a cluster, and in select."""
    outcome, names = Outcome(), count()
    fits = FITS if scale == "full" else {"accelerated": ASKED}
    with TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        fresh = lambda: _Stored(folder / str(next(names)), seed)  # noqa: E731
        for kind, asked in fits.items():
            for what, (strike, told) in STRIKES.items():
                with outcome.trying(f"{what}, {kind}"):
                    _refused_and_resumed(fresh(), asked, strike, told)
        draw = np.random.default_rng(seed)
        for number in range(60 if scale == "small" else 1000):
            with outcome.trying(f"rows that stay, {number}"):
                _unchanged(draw)
        with outcome.trying("select"), _told(STRIKES["a value"][1]):
            _selected(fresh(), _one_value)
        if scale == "full":
            with local_cluster(2) as client:
                for what, (strike, told) in STRIKES.items():
                    with outcome.trying(f"{what}, on a cluster"):
                        _refused_and_resumed(fresh(), ASKED, strike, told, client=client)
    return outcome


class _Stored:
    """Rows and weights as Zarr arrays, to be struck and mended."""

    def __init__(self, folder: Path, seed: int) -> None:
        draw = np.random.default_rng(seed)
        self.rows = draw.normal(size=(ROWS, FEATURES)) + 4 * draw.integers(3, size=(ROWS, 1)) + 7
        self.rows[:40] = self.rows[0]  # a component of these has no extent
        self.weights = draw.uniform(0.5, 2, size=ROWS)
        self.folder = folder
        store(folder / "rows.zarr", self.rows, chunks=(CHUNK, FEATURES))
        store(folder / "weights.zarr", self.weights, chunks=(CHUNK,))
        self.opening = {"weights": str(folder / "weights.zarr"), "nonfinite": "skip"}

    @property
    def source(self) -> str:
        return str(self.folder / "rows.zarr")

    def write(self, rows: Array, weights: Array) -> None:
        zarr.open_array(self.source)[:] = rows
        zarr.open_array(str(self.folder / "weights.zarr"))[:] = weights

    def strike_at(self, iteration: int, strike: Strike) -> Callable[[Progress], None]:
        def tell(progress: Progress) -> None:
            if progress.state.iteration == iteration:
                rows, weights = self.rows.copy(), self.weights.copy()
                strike(rows, weights)
                self.write(rows, weights)

        return tell


def _told(change: str) -> Any:
    words = f"rows have changed since the first pass of this fit: {change}.*fit a copy"
    return pytest.raises(DataError, match=words)


def _refused_and_resumed(
    stored: _Stored, asked: Configuration, strike: Strike, told: str, **conduct: Any
) -> None:
    """Struck in the first stretch and again after it was taken up; then mended, to the same end."""
    given = {**BLOCKS, **stored.opening, **conduct}
    whole = gmm_dask.fit(stored.source, asked, **given)
    run = stored.folder / "run"
    for iteration in (2, 6):
        with _told(told):
            gmm_dask.fit(
                stored.source, asked, run=run, callbacks=[stored.strike_at(iteration, strike)],
                **given,
            )  # fmt: skip
        stored.write(stored.rows, stored.weights)
    found = gmm_dask.fit(stored.source, asked, run=run, **given)
    assert digest(found) == digest(whole), "other bits"


def _unchanged(draw: np.random.Generator) -> None:
    """Rows, weights and starts of any size, however far off: rounding alone is no change."""
    size, features, components = int(draw.integers(20, 400)), int(draw.integers(1, 7)), 3
    scales = 10.0 ** draw.integers(-8, 8, size=features)
    far = draw.choice([0, 0, 1, 1e3, 1e8, -1e12], size=features) * 10.0 ** draw.integers(-3, 3)
    rows = draw.normal(size=(size, features)) * scales + far
    if draw.random() < 0.3:
        rows[:, draw.integers(features)] = draw.choice([0, 1, 1e10, 1e-30])
    if draw.random() < 0.3:
        rows[draw.integers(size)] *= 10.0 ** draw.integers(20)
    weights = 10.0 ** draw.uniform(-20, 20, size=size) if draw.random() < 0.3 else None
    family = str(draw.choice(["full", "tied", "diag", "spherical"]))
    initial = None
    if draw.random() < 0.5:
        family = "full"
        means = draw.normal(size=(components, features)) * 10.0 ** draw.integers(-3, 6)
        spread = np.diag(10.0 ** draw.uniform(-6, 6, size=features))
        initial = Mixture(np.full(components, 1 / 3), means, np.stack([spread] * components))
    asked = Configuration(components, family, tol=0, max_iter=15)
    with warnings.catch_warnings(), suppress(NotPositiveDefiniteError):
        warnings.simplefilter("ignore")
        gmm_dask.fit(rows, asked, initial=initial, weights=weights, block_bytes=2000)


def _selected(stored: _Stored, strike: Strike) -> None:
    gmm_dask.select(
        stored.source, range(1, 4), ["full", "diag"], tol=0, max_iter=12, cache="none",
        opening={**stored.opening, "block_bytes": BLOCKS["block_bytes"]},
        callbacks=[stored.strike_at(3, strike)],
    )  # fmt: skip
