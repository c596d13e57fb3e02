"""Rows that lie denser than noise alone would have them: what Gaussians beside noise begin from.

k-means over all rows puts centres where there is but background, and EM does not take them back:
of 192 fits (tests/benchmarks/noise) 120 came to the optimum that EM finds from the truth, and 188
do from these rows.
"""

from __future__ import annotations

from math import lgamma, log, pi

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.noise import Noise
from gmm_dask.mixture.starts.initial import Sample

NEIGHBOURS = 6
"""The density at a row is told by the distance to so many others."""
REFERENCES = 1000
"""Rows that are looked for around each, evenly taken of the sample."""
AT_ONCE = 2**20
"""Distances at once."""


def dense_rows(sample: Sample, noise: Noise | None, least: int = 1) -> Sample:
    """The rows at which a nearest-neighbour estimate of the density is above that of noise, 1/V;
    all of them where there is no noise, or hardly any are, or fewer than the least."""
    if noise is None or len(sample.rows) <= NEIGHBOURS:
        return sample
    dense = log_densities(sample) > noise.log_density
    if np.count_nonzero(dense) < max(least, sample.rows.shape[1], len(dense) // 20):
        return sample
    return Sample(sample.rows[dense], sample.weights[dense])


def log_densities(sample: Sample) -> Array:
    """log k / (n c r_k^D) of every row, (n,): r_k is how far its k-th neighbour lies, in standard
    deviations of the features, and c the volume of the unit ball."""
    rows, d = sample.standardised(), sample.rows.shape[1]
    some = rows[:: -(-len(rows) // REFERENCES)]
    deviations = np.sqrt(np.var(sample.rows, axis=0))
    scale = float(np.log(deviations[deviations > 0]).sum())
    ball = 0.5 * d * log(pi) - lgamma(0.5 * d + 1)
    with np.errstate(divide="ignore"):
        radii = 0.5 * d * np.log(_squares_of_nearest(rows, some))
    return log(NEIGHBOURS / len(some)) - ball - radii - scale


def _squares_of_nearest(rows: Array, some: Array) -> Array:
    """The squared distance to the k-th nearest of some rows, the row itself not counted, (n,)."""
    found, step = np.empty(len(rows)), max(1, AT_ONCE // len(some))
    lengths = np.einsum("nd,nd->n", some, some)
    own = np.zeros(len(rows), np.intp)
    own[:: -(-len(rows) // REFERENCES)] = 1
    for first in range(0, len(rows), step):
        part = rows[first : first + step]
        squares = lengths - 2 * (part @ some.T)
        squares += np.einsum("nd,nd->n", part, part)[:, None]
        nearest = np.partition(squares, (NEIGHBOURS - 1, NEIGHBOURS), axis=1)
        places = NEIGHBOURS - 1 + own[first : first + step]
        found[first : first + step] = nearest[np.arange(len(part)), places]
    return np.maximum(found, 0.0)
