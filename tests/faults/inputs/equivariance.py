"""Row 20: a fit of rows that are scaled, moved or put in another order is the fit, likewise.

Plain EM is held to it in every parameter, after so many iterations. Anderson's extrapolation solves
for how to combine iterates that are nearly alike, which multiplies the rounding of passes, and does
so in coordinates that depend on the order of features: its way differs, its end may not. There the
log-likelihood that it converges to is held to the bar, and the difference of parameters is told.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from gmm_dask import Configuration, Fit, Mixture, fit
from tests.faults.inputs.chunkings import difference
from tests.faults.outcome import Outcome, Scale

FAMILIES = ("full", "tied", "diag", "spherical")
BAR = 1e-10
ROWS, FEATURES, COMPONENTS = 2000, 4, 3
POWERS = (-40, -17, -1, 1, 23, 40)

Change = Callable[[Any], Any]
Whole = Callable[[Mixture], Mixture]


@dataclass(frozen=True)
class Symmetry:
    """What is done to rows, and the same done to a mixture."""

    name: str
    rows: Change
    mixture: Whole
    log_volume: float = 0.0
    """By which log-densities fall."""


def equivariant(scale: Scale, seed: int) -> Outcome:
    """Every symmetry in every family, plain and accelerated."""
    outcome, draw = Outcome(), np.random.default_rng(seed)
    for turn in range(2 if scale == "full" else 1):
        rows = _rows(draw)
        accelerations = (None, "anderson") if scale == "full" else (None,)
        for family, accelerate in product(FAMILIES, accelerations):
            tol, most = (0.0, 12) if accelerate is None else (1e-13, 500)
            asked = Configuration(
                COMPONENTS, family, tol=tol, max_iter=most, reg_covar=0.0, accelerate=accelerate
            )
            start = fit(rows, replace(asked, max_iter=0)).mixture
            plain = fit(rows, asked, initial=start)
            for symmetry in symmetries(draw, scale, family):
                with outcome.trying(f"{symmetry.name}, {family}, {accelerate}, {turn}"):
                    found = fit(
                        symmetry.rows(rows), asked, initial=symmetry.mixture(start),
                        block_bytes=8000,
                    )  # fmt: skip
                    _compare(outcome, symmetry, found, plain, accelerate)
    return outcome


def _compare(
    outcome: Outcome, symmetry: Symmetry, found: Fit, plain: Fit, accelerate: str | None
) -> None:
    wanted = symmetry.mixture(plain.mixture)
    # Every feature in its own units, and means about their own middle: a shift is no larger there.
    worst = difference(_standard(found.mixture, wanted), _standard(wanted, wanted))
    likelihood = plain.mean_log_likelihood - symmetry.log_volume
    apart = abs(found.mean_log_likelihood - likelihood) / max(1.0, abs(likelihood))
    _note(outcome, f"parameters, {accelerate or 'plain'}", worst)
    _note(outcome, f"log-likelihood, {accelerate or 'plain'}", apart)
    assert apart <= BAR, f"the log-likelihood differs by {apart:.1e}"
    assert accelerate or worst <= BAR, f"differs by {worst:.1e}"


def _note(outcome: Outcome, name: str, difference: float) -> None:
    known = float(outcome.figures.get(name, 0.0))  # type: ignore[arg-type]
    outcome.figures[name] = max(difference, known)


def _standard(mixture: Mixture, by: Mixture) -> Mixture:
    units = np.sqrt(by.variance)
    means = (mixture.means - by.weights @ by.means) / units
    return Mixture(mixture.weights, means, mixture.matrices / np.outer(units, units))


def _rows(draw: np.random.Generator) -> Any:
    centres = draw.normal(size=(COMPONENTS, FEATURES)) * 2
    return centres[draw.integers(COMPONENTS, size=ROWS)] + draw.normal(size=(ROWS, FEATURES))


def symmetries(draw: np.random.Generator, scale: Scale, family: str) -> Iterator[Symmetry]:
    """Scalings of all features, of each where the family has variances of each; moves; orders."""
    for power in POWERS if scale == "full" else POWERS[::5]:
        yield _scaled(f"all by 2^{power}", np.full(FEATURES, 2.0**power))
    if family != "spherical":
        yield _scaled("each by its own power of two", 2.0 ** draw.integers(-40, 41, FEATURES))
    for size in (1.0, 1e3) if scale == "full" else (1.0,):
        yield _moved(f"moved by about {size:g}", draw.normal(size=FEATURES) * size)
    order = draw.permutation(ROWS)
    yield Symmetry("rows in another order", lambda rows: rows[order], lambda mixture: mixture)
    yield _features_in(draw.permutation(FEATURES))
    yield _components_in(draw.permutation(COMPONENTS))


def _scaled(name: str, by: Any) -> Symmetry:
    def mixture(given: Mixture) -> Mixture:
        matrices = given.matrices * np.outer(by, by)
        return _of_family(given, given.weights, given.means * by, matrices)

    return Symmetry(name, lambda rows: rows * by, mixture, float(np.log(by).sum()))


def _moved(name: str, by: Any) -> Symmetry:
    def mixture(given: Mixture) -> Mixture:
        return Mixture(given.weights, given.means + by, given.covariances, given.family)

    return Symmetry(name, lambda rows: rows + by, mixture)


def _features_in(order: Any) -> Symmetry:
    def mixture(given: Mixture) -> Mixture:
        matrices = given.matrices[:, order][:, :, order]
        return _of_family(given, given.weights, given.means[:, order], matrices)

    return Symmetry("features in another order", lambda rows: rows[:, order], mixture)


def _components_in(order: Any) -> Symmetry:
    def mixture(given: Mixture) -> Mixture:
        return _of_family(given, given.weights[order], given.means[order], given.matrices[order])

    return Symmetry("components in another order", lambda rows: rows, mixture)


def _of_family(given: Mixture, weights: Any, means: Any, matrices: Any) -> Mixture:
    """Covariances (K, D, D) in the shape of the family."""
    shapes: dict[str, Callable[[Any], Any]] = {
        "full": lambda m: m,
        "tied": lambda m: m[0],
        "diag": lambda m: np.diagonal(m, axis1=1, axis2=2),
        "spherical": lambda m: m[:, 0, 0],
    }
    return Mixture(weights, means, shapes[given.family](matrices), given.family)
