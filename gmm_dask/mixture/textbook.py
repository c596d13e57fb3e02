"""EM by the formulas as they are written in any textbook, computed from rows in memory.

This shares nothing with the kernels, takes memory for N·K·D numbers, and is what `identities`
holds the kernels' statistics against. Nothing is fitted with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from scipy.special import expit, logsumexp

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.formulas import formulas_of
from gmm_dask.mixture.parameters import LOG_TWO_PI, Mixture

Sum: TypeAlias = tuple[Array, Array]
"""A sum over rows and the sum of its absolute terms: what rounding errors are relative to."""


@dataclass(frozen=True, eq=False)
class Parameters:
    """One number for each parameter: weights (K,), means (K, D), covariances in the family's shape;
    that of noise is the last of the weights.

    A gradient takes every entry as free: Σ π_k = 1 is the Lagrange multiplier's affair.
    """

    weights: Array
    means: Array
    covariances: Array


@dataclass(frozen=True, eq=False)
class Textbook:
    """One mixture and rows (N, D) with weights (N,): every quantity by its definition.

    With noise, N(x | 0) = 1/V is one more density, in the last column of all (N, K) here.
    """

    mixture: Mixture
    rows: Array
    weights: Array

    @cached_property
    def deviations(self) -> Array:
        """x_n − μ_k, (K, N, D)."""
        return self.rows - self.mixture.means[:, None]

    @cached_property
    def solved(self) -> Array:
        """Σ_k⁻¹ (x_n − μ_k), (K, N, D)."""
        columns = self.deviations.transpose(0, 2, 1)
        solved = np.linalg.solve(self.mixture.matrices, columns)
        return np.asarray(solved.transpose(0, 2, 1), dtype=np.float64)

    @cached_property
    def log_normals(self) -> Array:
        """log N(x_n | μ_k, Σ_k) = −½ (D log 2π + log |Σ_k| + (x_n − μ_k)ᵀ Σ_k⁻¹ (x_n − μ_k))."""
        distances = (self.deviations * self.solved).sum(axis=2).T
        determinants = np.linalg.slogdet(self.mixture.matrices)[1]
        logs: Array = -0.5 * (self.rows.shape[1] * LOG_TWO_PI + determinants + distances)
        if self.mixture.noise is None:
            return logs
        return np.column_stack([logs, np.full(len(logs), self.mixture.noise.log_density)])

    @cached_property
    def log_joint(self) -> Array:
        """log π_k N(x_n | μ_k, Σ_k), (N, K)."""
        return np.log(self.mixture.all_weights) + self.log_normals

    @cached_property
    def log_density(self) -> Array:
        """log Σ_k π_k N(x_n | μ_k, Σ_k), (N,)."""
        return logsumexp(self.log_joint, axis=1)

    @cached_property
    def responsibilities(self) -> Array:
        """Bayes' theorem, (N, K)."""
        return np.exp(self.log_joint - self.log_density[:, None])

    @cached_property
    def members(self) -> Array:
        """w_n r_nk, (N, K)."""
        return self.responsibilities * self.weights[:, None]

    @property
    def gaussian_members(self) -> Array:
        """Those of the Gaussians, one a line, (K, N)."""
        return self.members.T[: self.mixture.components]

    def log_likelihood(self) -> Sum:
        """L = Σ_n w_n log p(x_n)."""
        return summed(self.weights * self.log_density)

    def expected(self, other: Textbook) -> Sum:
        """Q(θ, θ*) = Σ_n w_n Σ_k r*_nk log π_k N(x_n | μ_k, Σ_k), `other` being θ."""
        present = self.members > 0
        return summed(self.members[present] * other.log_joint[present])

    def entropy(self) -> Sum:
        """H = −Σ_n w_n Σ_k r_nk log r_nk."""
        logs = self.log_joint - self.log_density[:, None]
        present = self.members > 0
        value, size = summed(-self.members[present] * logs[present])
        return value, size + self.weights.sum()  # r itself is known to ε, however small H

    def gradient_weights(self) -> Sum:
        """∂L/∂π_k = Σ_n w_n N(x_n | k) / p(x_n)."""
        return summed(self.weights[:, None] * np.exp(self.log_normals - self.log_density[:, None]))

    def gradient_means(self) -> Sum:
        """∂L/∂μ_k = Σ_n w_n π_k N(x_n | k) Σ_k⁻¹ (x_n − μ_k) / p(x_n)."""
        return summed((self.gaussian_members[:, :, None] * self.solved).transpose(1, 0, 2))

    def gradient_covariances(self) -> Sum:
        """∂L/∂Σ_k = ½ Σ_n w_n r_nk Σ_k⁻¹ ((x_n − μ_k)(x_n − μ_k)ᵀ − Σ_k) Σ_k⁻¹;
        entries that a family shares add up, those that it has not are left out."""
        each = zip(self.solved, self.gaussian_members, strict=True)
        products = np.stack([(y * r[:, None]).T @ y for y, r in each])
        counts = self.gaussian_members.sum(axis=1)
        inverses = counts[:, None, None] * np.linalg.inv(self.mixture.matrices)
        total = formulas_of(self.mixture.family).total
        return total(0.5 * (products - inverses)), total(np.abs(products) + np.abs(inverses))

    def maximised(self, solution: Mixture) -> Parameters:
        """π_k = n_k / n, μ_k = Σ r x / n_k, Σ_k = Σ r (x − μ_k)(x − μ_k)ᵀ / n_k in the family; by
        one more turn of a solution where there is no closed form."""
        counts, own = self.members.sum(axis=0), self.gaussian_members.sum(axis=1)
        pairs = [weighted_mean_and_scatter(self.rows, r) for r in self.gaussian_members]
        means, scatter = (np.stack(of_all) for of_all in zip(*pairs, strict=True))
        covariances = formulas_of(self.mixture.family).mean(scatter, own, solution.matrices)
        return Parameters(counts / counts.sum(), means, covariances)

    def univariate(self, solution: Mixture) -> Parameters:
        """The M-step of D = 1 in scalars: μ_k = Σ r x / Σ r and σ²_k = Σ r (x − μ_k)² / Σ r."""
        x, r = self.rows[:, 0], self._univariate_members()
        counts, gaussians = [float(some.sum()) for some in r], range(self.mixture.components)
        # about x_1: the same sum, without rounding where the data lie far from 0
        means = [x[0] + float(np.sum(r[k] * (x - x[0]))) / counts[k] for k in gaussians]
        squares = np.array([float(np.sum(r[k] * (x - means[k]) ** 2)) for k in gaussians])
        return Parameters(
            np.array(counts) / float(self.weights.sum()),
            np.array(means)[:, None],
            formulas_of(self.mixture.family).mean(
                squares[:, None, None], np.array(counts)[: len(means)], solution.matrices
            ),
        )

    def _univariate_members(self) -> Array:
        """w r_k(x) with log N(x | μ, σ²) = −½ log 2πσ² − (x − μ)² / 2σ², (K, N)."""
        x, logs = self.rows[:, 0], []
        for k, weight in enumerate(self.mixture.weights):
            mean, variance = self.mixture.means[k, 0], self.mixture.matrices[k, 0, 0]
            log_normal = -0.5 * np.log(2 * np.pi * variance) - (x - mean) ** 2 / (2 * variance)
            logs.append(np.log(weight) + log_normal)
        if self.mixture.noise is not None:
            noise = self.mixture.noise
            logs.append(np.full(len(x), np.log(noise.weight) + noise.log_density))
        return self.weights * np.exp(np.array(logs) - logsumexp(logs, axis=0))

    def two_components(self, solution: Mixture) -> Parameters:
        """The M-step of K = 2 from one responsibility: with λ = π_1,
        γ = λ N_1 / (λ N_1 + (1 − λ) N_2) = 1 / (1 + exp(log (1 − λ) N_2 − log λ N_1))."""
        share = float(self.mixture.weights[0])
        first = np.log(share) + self.log_normals[:, 0]
        second = np.log1p(-share) + self.log_normals[:, 1]
        gamma, n = self.weights * expit(first - second), float(self.weights.sum())
        others = self.weights * expit(second - first)
        mean_1, scatter_1 = weighted_mean_and_scatter(self.rows, gamma)
        mean_2, scatter_2 = weighted_mean_and_scatter(self.rows, others)
        share = float(gamma.sum()) / n
        return Parameters(
            np.array([share, 1 - share]),
            np.stack([mean_1, mean_2]),
            formulas_of(self.mixture.family).mean(
                np.stack([scatter_1, scatter_2]),
                np.array([gamma.sum(), others.sum()]),
                solution.matrices,
            ),
        )


def weighted_mean_and_scatter(rows: Array, weights: Array) -> tuple[Array, Array]:
    """m = Σ w x / Σ w and Σ w (x − m)(x − m)ᵀ; summed about the first row, far from 0 or not."""
    mean = rows[0] + weights @ (rows - rows[0]) / weights.sum()
    return mean, ((rows - mean) * weights[:, None]).T @ (rows - mean)


def summed(terms: Array) -> Sum:
    """Σ over the first axis, and Σ of absolute values."""
    return terms.sum(axis=0), np.abs(terms).sum(axis=0)
