"""The mixture itself: weights, means and covariances, and what follows from them alone.

Knows nothing of how it is fitted, nor of where rows come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from gmm_dask.mixture import density
from gmm_dask.mixture.arrays import Array, Indices, fixed, frozen
from gmm_dask.mixture.covariance import FAMILIES, family_named, register
from gmm_dask.mixture.covariance.family import Family
from gmm_dask.mixture.covariance.triangles import LARGE, mirrored
from gmm_dask.mixture.density import Scores, scores
from gmm_dask.mixture.noise import NOISE, Noise
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.summary import components_table

LOG_TWO_PI = float(np.log(2 * np.pi))
SMALLEST_WEIGHT = 1e-300
"""Weights of components that nothing belongs to: their logarithm must stay finite."""


class Printer(Protocol):
    """What a notebook has text written to."""

    def text(self, text: str) -> None: ...


@dataclass(frozen=True, eq=False)
class Mixture:
    """A Gaussian mixture p(x) = Σ_k w_k N(x | μ_k, Σ_k) of K components in D features.

    weights (K,), means (K, D); covariances in scikit-learn's shape for the family: full
    (K, D, D), tied (D, D), diag (K, D), spherical (K,). All arrays are read-only. With noise,
    p(x) has w_0 / V beside the sum, and weights sum to 1 with w_0.
    """

    weights: Array
    means: Array
    covariances: Array
    family: str
    noise: Noise | None

    def __init__(
        self,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike,
        family: str = "full",
        noise: Noise | None = None,
    ) -> None:
        object.__setattr__(self, "weights", frozen(weights))
        object.__setattr__(self, "means", frozen(means))
        object.__setattr__(self, "covariances", frozen(covariances))
        object.__setattr__(self, "family", family_named(family).name)
        object.__setattr__(self, "noise", noise)
        check(self)
        self.factors  # noqa: B018  fails here, with the component named, unless positive definite

    def __reduce__(self) -> tuple[Restore, tuple[Array, Array, Array, Family, Noise | None]]:
        covariances = self.covariances
        if self.large and not self.diagonal and mirrored(covariances):
            covariances = self.kind.layout.pack(covariances)
        return restored, (self.weights, self.means, covariances, self.kind, self.noise)

    def __copy__(self) -> Mixture:
        return Mixture(self.weights, self.means, self.covariances, self.family, self.noise)

    @cached_property
    def kind(self) -> Family:
        """The covariance family as an object."""
        return family_named(self.family)

    @property
    def diagonal(self) -> bool:
        """Whether no component has correlations, whatever its covariances."""
        return self.kind.layout.diagonal

    @property
    def components(self) -> int:
        """K."""
        return self.means.shape[0]

    @property
    def features(self) -> int:
        """D."""
        return self.means.shape[1]

    @property
    def parts(self) -> int:
        """K, and one more with noise: the columns of responsibilities."""
        return self.components + (self.noise is not None)

    @property
    def all_weights(self) -> Array:
        """The weights, (K,), and that of noise last, where there is some."""
        return self.weights if self.noise is None else np.append(self.weights, self.noise.weight)

    @property
    def noise_told(self) -> tuple[Array, ...]:
        """The numbers of noise, as arrays; nothing where there is none."""
        if self.noise is None:
            return ()
        numbers = np.array([self.noise.weight, self.noise.log_density])
        return (numbers,) if self.noise.box is None else (numbers, self.noise.box)

    @property
    def gaussians(self) -> Mixture:
        """The mixture without its noise."""
        if self.noise is None:
            return self
        return Mixture(self.weights / self.weights.sum(), self.means, self.covariances, self.family)

    def beside(self, noise: Noise | None) -> Mixture:
        """The Gaussians of this mixture beside noise, which has the weight that it says."""
        if noise is None:
            return self.gaussians
        weights = self.weights * ((1 - noise.weight) / self.weights.sum())
        return Mixture(weights, self.means, self.covariances, self.family, noise)

    @property
    def parameter_count(self) -> int:
        """Free parameters: K − 1 weights, K·D means and the family's covariances; the weight and
        the volume of noise, as mclust counts them."""
        k, d = self.means.shape
        noise = 0 if self.noise is None else 2
        return k - 1 + k * d + self.kind.parameter_count(k, d) + noise

    @cached_property
    def factors(self) -> Array:
        """U with Σ⁻¹ = U Uᵀ, in the family's shape (scikit-learn's `precisions_cholesky_`)."""
        return fixed(self.kind.factors(self.covariances))

    @cached_property
    def precisions(self) -> Array:
        """Σ⁻¹ in the family's shape."""
        return fixed(self.kind.from_factors(self.factors))

    @property
    def large(self) -> bool:
        """Whether it takes so much memory that one is to think of it."""
        return self.covariances.nbytes >= LARGE

    def forget(self) -> None:
        """Let go of factors and precisions, where they are large; who asks has them found again, to
        the same bits if on as many threads of BLAS."""
        if self.large:
            for large in ("factors", "precisions", "terms"):
                vars(self).pop(large, None)

    def spread(self, values: Array) -> Array:
        """Covariances, precisions or factors for each component: (K, D, D), or (K, D) diagonals."""
        return self.kind.spread(values, self.components, self.features)

    @cached_property
    def variances(self) -> Array:
        """The diagonal of every covariance, (K, D)."""
        spread = self.spread(self.covariances)
        return spread if spread.ndim == 2 else np.diagonal(spread, axis1=1, axis2=2)

    @cached_property
    def matrices(self) -> Array:
        """Every covariance as a matrix, (K, D, D), whatever the family."""
        spread = self.spread(self.covariances)
        return spread if spread.ndim == 3 else spread[:, :, None] * np.eye(self.features)

    @cached_property
    def log_normalisers(self) -> Array:
        """log w_k + ½ log |Σ_k⁻¹| − ½ D log 2π, (K,): the log joint at μ_k."""
        constant = np.log(self.weights) + self.half_log_determinants
        return constant - 0.5 * self.features * LOG_TWO_PI

    @cached_property
    def half_log_determinants(self) -> Array:
        """½ log |Σ_k⁻¹|, (K,)."""
        factors = self.spread(self.factors)
        diagonals = factors if factors.ndim == 2 else np.diagonal(factors, axis1=1, axis2=2)
        return np.log(diagonals).sum(axis=1)

    @cached_property
    def mean(self) -> Array:
        """E[x] but for noise, (D,)."""
        return self.weights @ self.means / self.weights.sum()

    @cached_property
    def variance(self) -> Array:
        """The variance of each feature but for noise, (D,): within plus between components."""
        total = self.weights @ (self.variances + (self.means - self.mean) ** 2)
        return total if self.noise is None else total / self.weights.sum()

    def take(self, components: Indices) -> Mixture:
        """The mixture of these components, and of its noise, its weights made to sum to 1."""
        weights, noise = shared_out(self.weights[components], self.noise)
        return Mixture(
            weights,
            self.means[components],
            self.kind.take(self.covariances, components),
            self.family,
            noise,
        )

    def marginal(self, features: Sequence[int]) -> Mixture:
        """The mixture that these features follow, in this order."""
        kept = feature_indices(features, self.features)
        return Mixture(
            self.weights,
            self.means[:, kept],
            self.kind.marginal(self.covariances, kept),
            self.kind.marginal_family or self.family,
            None if self.noise is None else self.noise.marginal(kept),
        )

    def conditional(self, given: Mapping[int, float]) -> Mixture:
        """The mixture that the other features follow once {feature: value} are known.

        w_k ∝ w_k N(b | μ_b, Σ_bb), μ = μ_a + Σ_ab Σ_bb⁻¹ (b − μ_b), Σ = Σ_aa − Σ_ab Σ_bb⁻¹ Σ_ba.
        """
        if not given:
            return self
        known = feature_indices(list(given), self.features)
        kept = np.setdiff1d(np.arange(self.features), known)
        if not len(kept):
            raise Refusal("every feature is given: there is none left to condition")
        values = np.array([float(value) for value in given.values()])
        posterior = self.marginal(known.tolist()).responsibilities(values[None])[0]
        means = self.means[:, kept]
        if not self.diagonal:
            across = self.matrices[:, kept[:, None], known]
            within = self.matrices[:, known[:, None], known]
            offset = (values - self.means[:, known])[:, :, None]
            means = means + (across @ np.linalg.solve(within, offset))[:, :, 0]
        posterior = np.maximum(posterior, np.finfo(np.float64).tiny)
        posterior = posterior / posterior.sum()
        noise = None if self.noise is None else self.noise.marginal(kept).weighing(posterior[-1])
        return Mixture(
            posterior[: self.components],
            means,
            self.kind.conditional(self.covariances, kept, known),
            self.kind.marginal_family or self.family,
            noise,
        )

    @cached_property
    def terms(self) -> density.Terms:
        """What its log-densities are made of; those of noise last: no distance counts for it."""
        means, factors = self.means, self.spread(self.factors)
        if self.noise is None:
            return density.Terms(means, factors, self.log_normalisers)
        return density.Terms(
            np.concatenate([means, means[:1]]),
            np.concatenate([factors, np.zeros_like(factors[:1])]),
            np.append(self.log_normalisers, self.noise.log_joint),
        )

    def log_joint(self, rows: ArrayLike) -> Array:
        """log w_k N(x_n | μ_k, Σ_k), (N, K), and log w_0 / V last with noise."""
        return density.log_joint(rows, *self.terms)

    def scores(
        self, rows: ArrayLike, *, density: bool = False, responsibilities: bool = False
    ) -> Scores:
        """The most probable component of each row, and what else is asked for."""
        return scores(rows, self.terms, density=density, responsibilities=responsibilities)

    def log_density(self, rows: ArrayLike) -> Array:
        """log p(x_n), (N,)."""
        return self.scores(rows, density=True).log_density

    def responsibilities(self, rows: ArrayLike) -> Array:
        """p(component k | x_n), (N, K): posteriors by Bayes' theorem, each row summing to 1; that
        of noise last."""
        return self.scores(rows, responsibilities=True).responsibilities

    def labels(self, rows: ArrayLike) -> Indices:
        """The most probable component of each row, (N,); −1 for noise."""
        return self.told(self.scores(rows).labels)

    def told(self, labels: Indices) -> Indices:
        """Labels as people are told them: what comes after the components is noise."""
        return labels if self.noise is None else np.where(labels < self.components, labels, NOISE)

    def sample(self, rows: int, random: np.random.Generator) -> tuple[Array, Indices]:
        """Rows (N, D) drawn from the mixture, and the components (N,) that they came from; −1 for
        noise, which is drawn from its box."""
        weights = self.all_weights
        labels = random.choice(self.parts, size=rows, p=weights / weights.sum()).astype(np.intp)
        drawn = self._drawn(np.minimum(labels, self.components - 1), random)
        if self.noise is not None:
            noise = labels == self.components
            drawn[noise] = self.noise.drawn(int(noise.sum()), random)
        return drawn, self.told(labels)

    def _drawn(self, labels: Indices, random: np.random.Generator) -> Array:
        """Rows of these components."""
        drawn = random.standard_normal((len(labels), self.features))
        if self.diagonal:
            return self.means[labels] + drawn * np.sqrt(self.variances[labels])
        for k, matrix in enumerate(self.matrices):
            drawn[labels == k] = drawn[labels == k] @ np.linalg.cholesky(matrix).T
        return self.means[labels] + drawn

    def __str__(self) -> str:
        return str(components_table(self))

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:
        """The table, in notebooks."""
        del cycle
        printer.text(str(self))


Restore: TypeAlias = Callable[[Array, Array, Array, Family, Noise | None], Mixture]


def restored(
    weights: Array, means: Array, covariances: Array, family: Family, noise: Noise | None = None
) -> Mixture:
    """A mixture in a process that may not know its family yet: it comes along. Large covariances
    have come as triangles."""
    if family.name not in FAMILIES:
        register(family.name, family)
    shape = family.shape(*means.shape)
    if covariances.ndim < len(shape):
        covariances = fixed(family.layout.unpack(covariances, shape))
    return Mixture(weights, means, covariances, family.name, noise)


def shared_out(weights: Array, noise: Noise | None) -> tuple[Array, Noise | None]:
    """Weights, that of noise among them, made to sum to 1."""
    if noise is None:
        return weights / weights.sum(), None
    total = weights.sum() + noise.weight
    return weights / total, noise.weighing(noise.weight / total)


def check(mixture: Mixture) -> None:
    """Refuse parameters that are no mixture; whether covariances are positive definite, their
    factors tell."""
    if mixture.means.ndim != 2 or 0 in mixture.means.shape:
        raise Refusal(f"means must have shape (K, D), not {mixture.means.shape}")
    if mixture.weights.shape != (mixture.components,):
        raise Refusal(
            f"{mixture.components} components need weights of shape ({mixture.components},), "
            f"not {mixture.weights.shape}"
        )
    expected = mixture.kind.shape(mixture.components, mixture.features)
    if mixture.covariances.shape != expected:
        raise Refusal(
            f"{mixture.family} covariances of {mixture.components} components in "
            f"{mixture.features} features must have shape {expected}, "
            f"not {mixture.covariances.shape}"
        )
    for name in ("weights", "means", "covariances"):
        if not np.isfinite(getattr(mixture, name)).all():
            raise Refusal(f"{name} must be finite numbers")
    weights = mixture.all_weights
    if not (weights > 0).all() or abs(weights.sum() - 1) > 1e-6:
        raise Refusal(f"weights must be positive and sum to 1, these are {weights}")
    if mixture.noise is not None:
        mixture.noise.check(mixture.features)
    if not mixture.diagonal and not symmetric(mixture.covariances):
        raise Refusal("covariances must be symmetric")


def feature_indices(features: Sequence[int], count: int) -> Indices:
    """Different features of so many, as an array."""
    indices = np.asarray(features, dtype=np.intp)
    if indices.ndim != 1 or not len(indices) or len(np.unique(indices)) < len(indices):
        raise Refusal(f"features must be one or more different indices, not {features}")
    if indices.min() < 0 or indices.max() >= count:
        raise Refusal(f"features run from 0 to {count - 1}, not {features}")
    return indices


def symmetric(matrices: Array) -> bool:
    """Whether covariances (..., D, D) are symmetric to 1e-8 of their standard deviations."""
    turned = np.swapaxes(matrices, -1, -2)
    if np.array_equal(matrices, turned):
        return True
    deviations = np.sqrt(np.abs(np.diagonal(matrices, axis1=-2, axis2=-1)))
    asymmetry = np.abs(matrices - turned)
    return bool((asymmetry <= 1e-8 * deviations[..., None] * deviations[..., None, :]).all())
