"""What the textbook derivations of EM say must hold, from sufficient statistics alone.

Statistics gathered at θ* give Q(θ, θ*), the gradient of L at θ* and every M-step with no further
pass over the rows. `verify` sets them beside the same quantities computed from the rows by
definition, and prints the two as a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gmm_dask.mixture.arrays import Array, as_rows, as_weights
from gmm_dask.mixture.evaluation import evaluate
from gmm_dask.mixture.formulas import formulas_of
from gmm_dask.mixture.kernels import Kernel
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.q_function import expected_log_likelihood, gradient
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.sweep import Statistics, sweep
from gmm_dask.mixture.textbook import Parameters, Sum, Textbook, summed

TOLERANCE = 1e-9
"""Relative errors up to here are rounding, where means are no larger than a million sd."""


@dataclass(frozen=True)
class Identity:
    """One equation or inequality: both sides where they disagree most, and by how much."""

    name: str
    formula: str
    left: float
    right: float
    error: float
    holds: bool


class Verification(tuple[Identity, ...]):
    """Identities; printing them gives a table."""

    __slots__ = ()

    @property
    def holds(self) -> bool:
        """Whether all of them hold."""
        return all(identity.holds for identity in self)

    def __str__(self) -> str:
        width = max(len(identity.name) for identity in self)
        lines = [f"{'':5} {'':{width}} {'left':>15} {'right':>15} {'error':>8}  formula"]
        for i in self:
            mark = "holds" if i.holds else "FAILS"
            numbers = f"{i.left:>15.8g} {i.right:>15.8g} {i.error:>8.1e}"
            lines.append(f"{mark} {i.name:{width}} {numbers}  {i.formula}")
        return "\n".join(lines)


def verify(mixture: Mixture, rows: ArrayLike, weights: ArrayLike | None = None) -> Verification:
    """Check every textbook identity of EM for this mixture and these rows.

    Left sides come from the sweep's statistics, right sides from the rows by definition. What
    concerns the M-step holds where no component is degenerate: a floor is not a maximum.
    """
    values = as_rows(rows, mixture.features).astype(np.float64)
    given = as_weights(weights, len(values))

    def statistics_of(mixtures: tuple[Mixture, ...], kernels: tuple[Kernel, ...]) -> Statistics:
        return sweep(values, mixtures, given, kernels)

    alone = Regularisation(reg_covar=0)
    (evaluation,), _ = evaluate(statistics_of, (mixture,), alone)
    solution = evaluation.maximised.mixture
    (after,), _ = evaluate(statistics_of, (solution,), alone)
    book = Textbook(mixture, values, np.ones(len(values)) if given is None else given)
    with np.errstate(divide="ignore", invalid="ignore"):  # components without any rows
        return comparison(book, evaluation.statistics, solution, after.statistics)


def comparison(
    book: Textbook,
    statistics: SufficientStatistics,
    solution: Mixture,
    after: SufficientStatistics,
) -> Verification:
    """Statistics at the book's mixture, the M-step's solution and the statistics there, beside
    what the rows say."""
    solved = Textbook(solution, book.rows, book.weights)
    compare = IdentityCheck(max(tolerance(book.mixture), tolerance(solution)))
    return Verification(
        (
            *likelihoods(compare, book, statistics),
            *gains(compare, book, statistics, solved, after),
            *gradients(compare, book, statistics),
            *stationarity(compare, solved, statistics),
            *maximisation_steps(compare, book, solution),
        )
    )


def tolerance(mixture: Mixture) -> float:
    """Float64 cannot hold a mean more finely than ε |μ|, which is ε |μ| / σ of a deviation."""
    distances = np.abs(mixture.means) / np.sqrt(mixture.variances)
    return TOLERANCE + 4 * float(np.finfo(np.float64).eps * distances.max())


@dataclass(frozen=True)
class IdentityCheck:
    """Makes identities: errors relative to the size of what is summed, judged by one tolerance."""

    tolerance: float

    def equal(self, name: str, formula: str, left: ArrayLike, right: Sum | Array) -> Identity:
        """left = right, entry by entry; the entries that disagree most are shown."""
        value, size = right if isinstance(right, tuple) else (right, np.abs(right))
        return self._worst(name, formula, left, value, size, lambda a, b: np.abs(a - b))

    def at_least(self, name: str, formula: str, left: float, right: float, size: Array) -> Identity:
        """left ≥ right."""
        return self._worst(name, formula, left, right, size, lambda a, b: np.maximum(b - a, 0))

    def _worst(
        self,
        name: str,
        formula: str,
        left: ArrayLike,
        right: ArrayLike,
        size: Array,
        amiss: Callable[[Array, Array], Array],
    ) -> Identity:
        a, b, s = (
            np.ravel(side)
            for side in np.broadcast_arrays(np.asarray(left, np.float64), right, size)
        )
        errors = amiss(a, b) / np.where(s > 0, s, 1)
        worst = int(np.where(np.isnan(errors), np.inf, errors).argmax())
        error = float(errors[worst])
        holds = error <= self.tolerance
        return Identity(name, formula, float(a[worst]), float(b[worst]), error, holds)


def likelihoods(
    compare: IdentityCheck, book: Textbook, statistics: SufficientStatistics
) -> Iterator[Identity]:
    """L, H and Q at θ*, and L = Q + H."""
    value, size = book.log_likelihood()
    expected = expected_log_likelihood(book.mixture, statistics)
    yield compare.equal(
        "log-likelihood", "L = Σ log Σ_k π_k N(x|k)", statistics.log_likelihood, (value, size)
    )
    yield compare.equal("entropy", "H = −Σ Σ_k r log r", statistics.entropy, book.entropy())
    yield compare.equal(
        "Q at θ*", "Q(θ*, θ*) = Σ Σ_k r log π_k N(x|k)", expected, book.expected(book)
    )
    yield compare.equal(
        "decomposition",
        "L = Q(θ*, θ*) + H",
        statistics.log_likelihood,
        (np.array(expected + statistics.entropy), size),
    )
    yield compare.equal("counts", "n_k = Σ r_k", statistics.all_counts, summed(book.members))


def gains(
    compare: IdentityCheck,
    book: Textbook,
    statistics: SufficientStatistics,
    solved: Textbook,
    after: SufficientStatistics,
) -> Iterator[Identity]:
    """What one EM step gains: ΔL ≥ ΔQ ≥ 0."""
    at_solution = expected_log_likelihood(solved.mixture, statistics)
    gained_q = at_solution - expected_log_likelihood(book.mixture, statistics)
    gained = after.log_likelihood - statistics.log_likelihood
    size = book.log_likelihood()[1] + solved.log_likelihood()[1]
    yield compare.equal(
        "Q at the M-step", "Q(θ, θ*) = Σ Σ_k r* log π_k N(x|k)", at_solution, book.expected(solved)
    )
    yield compare.at_least("EM inequality", "ΔL ≥ ΔQ", gained, gained_q, size)
    yield compare.at_least("M-step raises Q", "ΔQ ≥ 0", gained_q, 0.0, size)


def gradients(
    compare: IdentityCheck, book: Textbook, statistics: SufficientStatistics
) -> Iterator[Identity]:
    """Fisher's identity: the gradient of Q at θ = θ* is that of L, here taken from p(x) itself."""
    slope = gradient(book.mixture, statistics)
    yield compare.equal(
        "gradient in π", "n_k/π_k = Σ N(x|k)/p(x)", slope.weights, book.gradient_weights()
    )
    yield compare.equal(
        "gradient in μ",
        "n_k Σ⁻¹(m_k−μ_k) = Σ π_k ∂N(x|k)/∂μ_k / p(x)",
        slope.means,
        book.gradient_means(),
    )
    yield compare.equal(
        "gradient in Σ",
        "½Σ⁻¹S_kΣ⁻¹ − ½n_kΣ⁻¹ = Σ π_k ∂N(x|k)/∂Σ_k / p(x)",
        slope.covariances,
        book.gradient_covariances(),
    )


def stationarity(
    compare: IdentityCheck, solved: Textbook, statistics: SufficientStatistics
) -> Iterator[Identity]:
    """At the M-step's solution the gradient of Q vanishes, but for the multiplier of Σπ = 1."""
    slope = gradient(solved.mixture, statistics)
    zero, total = np.zeros(()), np.array(solved.weights.sum())
    yield compare.equal(
        "multiplier of Σπ = 1",
        "n_k/π_k = n for every k",
        slope.weights,
        total,
    )
    yield compare.equal(
        "M-step in μ", "∂Q/∂μ_k = 0", slope.means, (zero, solved.gradient_means()[1])
    )
    free, matrices = formulas_of(solved.mixture.family).free, solved.mixture.matrices
    yield compare.equal(
        "M-step in Σ",
        "∂Q/∂Σ_k = 0 within the family",
        free(slope.covariances, matrices),
        (zero, free(solved.gradient_covariances()[1], matrices)),
    )


FORMULAS = {
    "": ("π_k = n_k/n", "μ_k = Σrx/n_k", "Σ_k = Σr(x−μ_k)(x−μ_k)ᵀ/n_k, shared as the family does"),
    "univariate": ("π_k = Σr/n", "μ_k = Σrx/Σr", "σ²_k = Σr(x−μ_k)²/Σr"),
    "two-component": (
        "λ = Σγ/n",
        "μ_1 = Σγx/Σγ, μ_2 = Σ(1−γ)x/Σ(1−γ)",
        "Σ_1 = Σγ(x−μ_1)(x−μ_1)ᵀ/Σγ, Σ_2 likewise",
    ),
}


def maximisation_steps(
    compare: IdentityCheck, book: Textbook, solution: Mixture
) -> Iterator[Identity]:
    """The M-step in closed form: in general, in scalars for D = 1, from one γ for K = 2."""
    yield from parameters(compare, "", book.maximised(solution), solution)
    if solution.features == 1:
        yield from parameters(compare, "univariate", book.univariate(solution), solution)
    if solution.parts == solution.components == 2:
        yield from parameters(compare, "two-component", book.two_components(solution), solution)


def parameters(
    compare: IdentityCheck, case: str, expected: Parameters, solution: Mixture
) -> Iterator[Identity]:
    """The solution's parameters beside those of a formula, in units of its standard deviations."""
    deviations = np.sqrt(solution.variances)
    products = deviations[:, :, None] * deviations[:, None, :]
    units = formulas_of(solution.family).units(products)
    sizes = {"weights": solution.all_weights, "means": deviations, "covariances": units}
    for (name, size), formula in zip(sizes.items(), FORMULAS[case], strict=True):
        value = getattr(expected, name)
        label = f"{case} {name}".strip()
        ours = solution.all_weights if name == "weights" else getattr(solution, name)
        yield compare.equal(label, formula, ours, (value, size))
