"""Row 21: rows that no mixture is meant for. What comes out is finite, or a typed error; and what
happened to components is told in the history."""

import warnings
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from gmm_dask import Configuration, Mixture, fit
from gmm_dask.mixture.maximisation import DegenerateComponentError
from tests.faults.inputs.refusing import REFUSALS
from tests.faults.outcome import Outcome, Scale

FAMILIES = ("full", "tied", "diag", "spherical")
POLICIES = ("floor", "reseed", "drop", "error")


def extreme(scale: Scale, seed: int) -> Outcome:
    """Every kind of rows in every family, under every policy, with and without reg_covar."""
    outcome = Outcome()
    outcome.figures |= {"finite": 0, "typed errors": 0, "events told": 0}
    policies = POLICIES if scale == "full" else ("floor", "error")
    floors = (1e-6, 0.0) if scale == "full" else (0.0,)
    for name, rows, components, degenerate in _rows(np.random.default_rng(seed), scale):
        for family, policy, reg_covar in product(FAMILIES, policies, floors):
            if name.startswith("D = ") and (policy, reg_covar) != (policies[0], floors[0]):
                continue
            asked = Configuration(
                components, family, max_iter=10, degenerate=policy, reg_covar=reg_covar
            )
            with outcome.trying(f"{name}, {family}, {policy}, {reg_covar:g}"):
                told = _fitted(outcome, rows, asked)
                must = degenerate and family == "full" and not reg_covar
                assert told or not must, "no event was told"
    with outcome.trying("a component that no row belongs to"):
        _one_left_empty(outcome)
    return outcome


def _fitted(outcome: Outcome, rows: Any, asked: Configuration, **start: Any) -> bool:
    """Whether anything was told: an error, or events in the history."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # NumPy's, of overflow and NaN
            found = fit(rows, asked, **start)
    except (*REFUSALS, DegenerateComponentError):
        _count(outcome, "typed errors", 1)
        return True
    mixture = found.mixture
    for values in (mixture.weights, mixture.means, mixture.matrices, found.mean_log_likelihood):
        assert np.isfinite(values).all(), "not finite"
    assert np.isfinite(mixture.factors).all(), "a covariance is not positive definite"
    events = sum(len(entry["events"]) for entry in found.history)
    _count(outcome, "finite", 1)
    _count(outcome, "events told", events)
    return events > 0


def _count(outcome: Outcome, name: str, number: int) -> None:
    outcome.figures[name] = int(outcome.figures[name]) + number  # type: ignore[call-overload]


def _rows(draw: np.random.Generator, scale: Scale) -> Iterator[tuple[str, Any, int, bool]]:
    """A name, rows, components, and whether a full covariance must degenerate."""
    plain = draw.normal(size=(300, 3))
    wide = 500 if scale == "full" else 120
    yield f"D = {wide}", draw.normal(size=(2 * wide, wide)), 2, False
    yield f"D = {wide}, fewer rows than features", draw.normal(size=(wide // 5, wide)), 2, True
    yield "duplicated rows", np.repeat(draw.normal(size=(12, 3)), 40, 0), 3, False
    yield "one row 300 times", np.ones((300, 3)), 2, True
    yield "one row 300 times, far off", np.full((300, 3), 1e8), 2, True
    yield "a constant column", np.c_[plain, np.full(300, 7.0)], 3, True
    yield "a column of zeros", np.c_[plain, np.zeros(300)], 3, True
    yield "a column twice", np.c_[plain, plain[:, 0]], 3, False
    yield "K above distinct points", np.repeat([[0.0, 0], [1, 1], [2, 5]], 40, 0), 7, True
    yield "as many components as rows", plain[:9], 9, True
    yield "one row", plain[:1], 1, True
    for size in (1e9, 1e75, 1e150):
        far = plain.copy()
        far[17] = size
        yield f"one outlier at {size:g}", far, 3, False
    for size in (1e-310, 1e-160, 1e140):
        yield f"all of size {size:g}", plain * size, 2, False
    yield "features of sizes 1e-100 to 1e100", plain * [1e-100, 1, 1e100], 2, False


def _one_left_empty(outcome: Outcome) -> None:
    """A start so far off that its component gets no row at all."""
    rows = np.random.default_rng(1).normal(size=(300, 2))
    start = Mixture([0.5, 0.5], [[0, 0], [1e6, 1e6]], [np.eye(2)] * 2)
    for policy in POLICIES:
        asked = Configuration(2, max_iter=10, degenerate=policy)
        assert _fitted(outcome, rows, asked, initial=start), f"{policy}: nothing was told"
