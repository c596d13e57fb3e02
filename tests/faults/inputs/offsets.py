"""Row 19: rows ever further from the origin, in standard deviations, stored as float64 and float32.

What is stored, less the offset, is exact in float64: so the same rows are known about the origin
to the last bit, and one pass over them is the truth for one pass over what is stored. Parameters
are the same in both; over many iterations means far off are rounded by more than covariances may
be, which no arithmetic of passes can mend: that difference is told and not held to the bar.
"""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from gmm_dask import Configuration, Mixture, fit
from gmm_dask.chunked.profile import PrecisionWarning
from tests.faults.outcome import Outcome, Scale

FAMILIES = ("full", "tied", "diag", "spherical")
BARS = {"f8": 1e-10, "f4": 1e-5}
OFFSETS = (0.0, 1.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)


def far(scale: Scale, seed: int) -> Outcome:
    """One whole fit per offset, type and family, from the same start as its truth."""
    outcome = Outcome()
    for dtype in BARS:
        for offset in OFFSETS if scale == "full" else OFFSETS[::4]:
            for family in FAMILIES if scale == "full" else FAMILIES[:1]:
                for turn in range(2 if scale == "full" else 1):
                    with outcome.trying(f"{dtype}, {family}, mean/sd = {offset:g}, {turn}"):
                        _far(outcome, dtype, offset, family, seed + turn)
    return outcome


def _far(outcome: Outcome, dtype: str, offset: float, family: str, seed: int) -> None:
    moved, centred, away = _rows(dtype, offset, seed)
    asked = Configuration(3, family, tol=0, max_iter=20, reg_covar=0.0)
    start = fit(centred, replace(asked, max_iter=0)).mixture
    near = fit(centred, asked, initial=start).mixture
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)  # which says so in float32
        reached = fit(moved, asked, initial=_moved(start, away), block_bytes=20_000).mixture
        found = fit(moved, replace(asked, max_iter=1), initial=reached).mixture
    # The same parameters to the last bit, of rows that are the same to the last bit.
    truth = fit(centred, replace(asked, max_iter=1), initial=_moved(reached, -away)).mixture
    error = _error(outcome, f"largest error of a covariance, {dtype}", found, truth)
    _error(outcome, f"largest difference after 20 iterations, {dtype}", reached, near)
    assert error <= BARS[dtype], f"covariances differ by {error:.1e}"
    assert np.linalg.eigvalsh(found.matrices).min() > 0, "a covariance is not positive definite"


def _error(outcome: Outcome, name: str, found: Mixture, truth: Mixture) -> float:
    error = float(np.abs(found.matrices - truth.matrices).max() / np.abs(truth.matrices).max())
    outcome.figures[name] = max(error, float(outcome.figures.get(name, 0.0)))  # type: ignore[arg-type]
    return error


def _rows(dtype: str, offset: float, seed: int) -> tuple[Any, Any, Any]:
    """Rows as they are stored, the same about the origin, and how far apart these two are."""
    draw = np.random.default_rng(seed)
    centres = np.array([[0, 0, 0], [4, 2, 0], [0, 4, 3]])
    rows = centres[draw.integers(3, size=3000)] + draw.normal(size=(3000, 3))
    away = offset * np.array([1.0, -1.0, 0.5])
    stored = (rows + away).astype(dtype)
    return stored, stored.astype("f8") - away, away


def _moved(mixture: Mixture, away: Any) -> Mixture:
    return Mixture(mixture.weights, mixture.means + away, mixture.covariances, mixture.family)
