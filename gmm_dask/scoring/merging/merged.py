"""A mixture whose components make up clusters: the same density, with labels of clusters."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gmm_dask.mixture import density
from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.density import Scores
from gmm_dask.mixture.noise import NOISE, Noise
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.scoring.merging.sums import shares_of_clusters


@dataclass(frozen=True, eq=False)
class MergedMixture:
    """p(x) as that of its mixture; p(cluster c | x) = Σ_{k in c} p(component k | x).

    `cluster_of` (K,) has the cluster of each component, from 0 up to C − 1. Labels, weights and
    responsibilities are of clusters.
    """

    mixture: Mixture
    cluster_of: tuple[int, ...]

    def __init__(self, mixture: Mixture, cluster_of: Sequence[int]) -> None:
        object.__setattr__(self, "mixture", mixture)
        object.__setattr__(self, "cluster_of", tuple(map(int, cluster_of)))
        used = sorted(set(self.cluster_of))
        if len(self.cluster_of) != mixture.components or used != list(range(len(used))):
            raise Refusal(
                f"cluster_of={self.cluster_of} must number the clusters of all "
                f"{mixture.components} components from 0 up, without a gap"
            )

    def __copy__(self) -> MergedMixture:
        """With a copy of the mixture, whose factors are made anew as those of any copy."""
        return MergedMixture(copy(self.mixture), self.cluster_of)

    @property
    def components(self) -> int:
        """C, the number of clusters: of what is said of rows, each has a column."""
        return max(self.cluster_of) + 1

    @property
    def noise(self) -> Noise | None:
        """The mixture's, which is no cluster."""
        return self.mixture.noise

    @property
    def parts(self) -> int:
        """C, and one more with noise."""
        return self.components + (self.noise is not None)

    def told(self, labels: Indices) -> Indices:
        """Labels as people are told them: what comes after the clusters is noise."""
        return labels if self.noise is None else np.where(labels < self.components, labels, NOISE)

    @property
    def features(self) -> int:
        """D."""
        return self.mixture.features

    @property
    def weights(self) -> Array:
        """The share of each cluster, (C,)."""
        return shares_of_clusters(self.mixture.weights[None], self.cluster_of)[0]

    def scores(
        self, rows: ArrayLike, *, density: bool = False, responsibilities: bool = False
    ) -> Scores:
        """The most probable cluster of each row, and what else is asked for."""
        found = self.mixture.scores(rows, density=density, responsibilities=True)
        shares = shares_of_clusters(found.responsibilities, self.cluster_of)
        kept = shares if responsibilities else np.empty((0, 0))
        return Scores(shares.argmax(axis=1), found.log_density, kept)

    def labels(self, rows: ArrayLike) -> Indices:
        """The most probable cluster of each row, (N,); −1 for noise."""
        return self.told(self.scores(rows).labels)

    def responsibilities(self, rows: ArrayLike) -> Array:
        """p(cluster c | x_n), (N, C); that of noise last."""
        return self.scores(rows, responsibilities=True).responsibilities

    def log_density(self, rows: ArrayLike) -> Array:
        """log p(x_n), (N,): that of the mixture."""
        return self.mixture.log_density(rows)

    def log_joint(self, rows: ArrayLike) -> Array:
        """log Σ_{k in c} w_k N(x_n | μ_k, Σ_k), (N, C), and log w_0 / V last with noise."""
        logs, members = self.mixture.log_joint(rows), np.array(self.cluster_of)
        gaussians, noise = np.split(logs, [len(members)], axis=1)
        parts = (density.log_sum_exp(gaussians[:, members == c]) for c in range(self.components))
        return np.column_stack([*parts, noise])
