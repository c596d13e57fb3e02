"""Row 29: models that are not those of their rows, and models that are, however they came about."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import gmm_dask
from gmm_dask import Configuration, Mixture, open_rows
from gmm_dask.fitting.refitting.refit import refit
from gmm_dask.fitting.verification import verify_fit
from gmm_dask.models.model import Model, load_model
from gmm_dask.models.versions import load_version
from tests.chunked.conftest import store
from tests.faults.outcome import Outcome, Scale

ROWS, FEATURES = 20_000, 4
FAMILIES = ("full", "tied", "diag", "spherical")
Wrong = Callable[[Mixture, np.random.Generator], Mixture]


def _changed(**change: Callable[..., Any]) -> Wrong:
    def wrong(mixture: Mixture, draw: np.random.Generator) -> Mixture:
        parts = {name: getattr(mixture, name) for name in ("weights", "means", "covariances")}
        parts |= {name: change[name](mixture, draw) for name in change}
        return Mixture(**parts, family=mixture.family)

    return wrong


def _noise(mixture: Mixture, draw: np.random.Generator) -> Any:
    return mixture.means + 0.02 * np.sqrt(mixture.variances) * draw.normal(size=mixture.means.shape)


WRONG: dict[str, Wrong] = {
    "means shifted by a standard deviation": _changed(
        means=lambda m, _: m.means + np.sqrt(m.variances)
    ),
    "covariances times four": _changed(covariances=lambda m, _: 4 * m.covariances),
    "covariances permuted": _changed(
        covariances=lambda m, _: m.covariances if m.family == "tied" else m.covariances[::-1],
        means=lambda m, _: m.means[::-1] if m.family == "tied" else m.means,
    ),
    "other weights": _changed(weights=lambda m, _: np.roll(m.weights, 1)),
    "noise": _changed(means=_noise),
}


def told(scale: Scale, seed: int) -> Outcome:
    """Every fault in every family fails; fits of every kind hold."""
    outcome = Outcome()
    with TemporaryDirectory(prefix="faults-") as name:
        folder, draw = Path(name), np.random.default_rng(seed)
        source = store(folder / "rows.zarr", _rows(draw), chunks=(1000, FEATURES))
        for family in FAMILIES if scale == "full" else FAMILIES[:2]:
            run = folder / family
            gmm_dask.fit(source, Configuration(3, family, tol=1e-6, max_iter=500), run=run)
            right = load_model(run / "model.zarr")
            for what, wrong in WRONG.items():
                made = replace(right, mixture=wrong(right.mixture, draw))
                with outcome.trying(f"{what}, {family}, as told"):
                    assert not _holds(made, source), "it holds"
                if what == "noise":  # so little that a step gains less than the usual tolerance
                    continue
                with outcome.trying(f"{what}, {family}, with nothing told"):
                    assert not _holds(replace(made, provenance={}), source), "it holds"
        for what, model, where in _right(folder, source, draw):
            with outcome.trying(what):
                assert _holds(model, where), "it fails"
    return outcome


def _rows(draw: np.random.Generator) -> Any:
    centres, labels = 3 * draw.normal(size=(3, FEATURES)), draw.choice(3, ROWS, p=(0.6, 0.3, 0.1))
    spreads = np.array([0.5, 1.0, 1.5])
    return centres[labels] + spreads[labels][:, None] * draw.normal(size=(ROWS, FEATURES))


def _holds(model: Model, source: str, **opening: Any) -> bool:
    found = list(verify_fit(model, open_rows(source, **opening)))
    assert found, "nothing was asked"
    return all(identity.holds for identity in found)


def _right(
    folder: Path, source: str, draw: np.random.Generator
) -> Iterator[tuple[str, Model, str]]:
    """Models that are what they are said to be."""
    asked = {
        "usual": Configuration(3),
        "coarse": Configuration(3, tol=0.05, accelerate=None),
        "relative": Configuration(3, tol=None, relative_tol=1e-6),
        "by-parameters": Configuration(3, tol=None, parameter_tol=1e-4, max_iter=300),
        "stopped": Configuration(8, tol=0, max_iter=3),
        "floored": Configuration(3, reg_covar=0.01, tol=1e-8, max_iter=500),
        "dropped": Configuration(12, degenerate="drop", tol=1e-5, max_iter=300),
        "float32": Configuration(3, arithmetic="float32"),
    }
    for what, configuration in asked.items():
        gmm_dask.fit(source, configuration, run=folder / what)
        yield what, load_model(folder / what / "model.zarr"), source
    gmm_dask.select(source, range(1, 5), ["full", "diag"], run=folder / "select")
    yield "selected", load_model(folder / "select/model.zarr"), source
    refit(source, str(folder / "models"), Configuration(3))
    yield "refitted", load_version(str(folder / "models")).model, source
    usual = load_model(folder / "usual/model.zarr")
    for number in range(10):
        drawn, _ = usual.mixture.sample(2000, draw)
        where = store(folder / f"others-{number}.zarr", drawn, chunks=(1000, FEATURES))
        yield f"other rows, {number}", usual, where
    yield "imported", replace(usual, provenance={}), source
