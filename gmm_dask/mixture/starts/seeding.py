"""How responsibilities to start from are drawn, of rows in units of their standard deviations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np

from gmm_dask.mixture.arrays import Array, Indices

LLOYD_ITERATIONS = 50
LEAST_MASS = 1e-300
"""Of a centre that no row is nearest to: what it is divided by."""

Seeding: TypeAlias = Callable[[Array, Array, int, np.random.Generator], Array]
"""Of rows (n, D), weights (n,) and K: centres (K, D), or responsibilities (n, K)."""


def k_means_plus_plus(rows: Array, weights: Array, k: int, random: np.random.Generator) -> Array:
    """K rows (K, D) far apart: each drawn with probability ∝ its squared distance to those before.

    Arthur & Vassilvitskii (2007), with the best of 2 + log K draws each time.
    """
    centres = rows[drawn(weights, 1, random)]
    lengths = squared_lengths(rows)
    nearest = squared_distances(rows, centres, lengths)[:, 0]
    trials = 2 + int(np.log(k))
    while len(centres) < k:
        mass = nearest * weights
        if not mass.sum() > 0:  # fewer distinct rows than components
            mass = weights
        candidates = rows[drawn(mass, trials, random)]
        closer = np.minimum(nearest[:, None], squared_distances(rows, candidates, lengths))
        best = int((weights @ closer).argmin())
        centres, nearest = np.vstack([centres, candidates[best]]), closer[:, best]
    return centres


def drawn(mass: Array, size: int, random: np.random.Generator) -> Indices:
    """As many numbers of rows, with probability ∝ their mass: those that `Generator.choice` draws,
    which looks at the probabilities for longer than that takes."""
    shares = (mass / mass.sum()).cumsum()
    shares /= shares[-1]
    return shares.searchsorted(random.random(size), side="right")


def k_means(rows: Array, weights: Array, k: int, random: np.random.Generator) -> Array:
    """The centres (K, D) that Lloyd's iterations reach from k-means++."""
    centres = k_means_plus_plus(rows, weights, k, random)
    lengths, one_of = squared_lengths(rows), np.eye(k)
    labels: Indices | None = None
    for _ in range(LLOYD_ITERATIONS):
        distances = squared_distances(rows, centres, lengths)
        nearest = distances.argmin(axis=1)
        if labels is not None and not np.count_nonzero(nearest != labels):
            break
        labels = nearest
        members = one_of.take(labels, axis=0)
        members *= weights[:, None]
        mass = np.add.reduce(members, axis=0)
        centres = (members.T @ rows) / np.maximum(mass, LEAST_MASS)[:, None]
        if np.count_nonzero(mass) < k:
            far = np.argsort(-distances[np.arange(len(rows)), labels], kind="stable")
            empty = np.flatnonzero(mass == 0)
            centres[empty] = rows[far[np.arange(len(empty)) % len(far)]]
    return centres


def random_rows(rows: Array, weights: Array, k: int, random: np.random.Generator) -> Array:
    """K rows (K, D), all different where there are so many."""
    possible = int(np.count_nonzero(weights)) >= k
    return rows[random.choice(len(rows), size=k, replace=not possible, p=weights / weights.sum())]


def random_responsibilities(
    rows: Array,
    weights: Array,  # noqa: ARG001
    k: int,
    random: np.random.Generator,
) -> Array:
    """Every row belongs a little to each component, by the luck of the draw."""
    return random.dirichlet(np.ones(k), size=len(rows))


def squared_distances(rows: Array, centres: Array, lengths: Array | None = None) -> Array:
    """‖x_n − c_k‖², (n, K); rows are of order one, so the expansion is accurate enough. `lengths`
    are the rows' own, where somebody has them already."""
    distances = rows @ centres.T
    distances *= -2
    distances += (squared_lengths(rows) if lengths is None else lengths)[:, None]
    distances += squared_lengths(centres)
    return np.maximum(distances, 0, out=distances)


def squared_lengths(rows: Array) -> Array:
    """‖x_n‖², (n,)."""
    lengths: Array = np.add.reduce(rows**2, axis=1)
    return lengths


def nearest_centre(rows: Array, centres: Array) -> Array:
    """Responsibilities (n, K) of 0 and 1."""
    return np.eye(len(centres))[squared_distances(rows, centres).argmin(axis=1)]


def nearest(
    centres: Seeding, rows: Array, weights: Array, k: int, random: np.random.Generator
) -> Array:
    """Every row belongs to the nearest of some centres."""
    return nearest_centre(rows, centres(rows, weights, k, random))


KMEANS: Seeding = partial(nearest, k_means)
KMEANS_PLUS_PLUS: Seeding = partial(nearest, k_means_plus_plus)
RANDOM_FROM_DATA: Seeding = partial(nearest, random_rows)
