"""Moves between optima: a component is taken from where it is missed least and put where it gains.

EM alone leaves two components in one cluster and one over two for good.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.iteration import Candidate, EMSettings, run, start
from gmm_dask.mixture.maximisation import halved
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.starts.initial import Sample
from gmm_dask.mixture.starts.race import coarse, ranking, statistics_of_sample
from gmm_dask.mixture.starts.splitting import MOST

LEAST_MISSED = 2
"""Components that are taken away in turn."""
ROUNDS = 20
"""Moves that are made at most, one after another."""
WORTH = 1e-4
"""Nats a row that a move must gain."""


def improved(sample: Sample, mixture: Mixture, settings: EMSettings = EMSettings()) -> Mixture:
    """Where EM on the sample and moves, one at a time, take a mixture, until none is worth it.

    After Ueda, Nakano, Ghahramani & Hinton (2000); but what a split is worth is told by one step of
    EM with it, rather than by how far its component is from the rows.
    """
    statistics_of, settings = statistics_of_sample(sample), coarse(settings)
    best = run(statistics_of, start([mixture]), settings).best
    for _ in range(ROUNDS):
        moved = most_promising(sample, best.mixture, settings)
        found = best if moved is None else run(statistics_of, start([moved]), settings).best
        sound, height = best.standing
        if found.standing <= (sound, height + WORTH):
            break
        best = found
    return best.mixture


def most_promising(sample: Sample, mixture: Mixture, settings: EMSettings) -> Mixture | None:
    """The move that leads after one step of EM; None where there is nothing to move."""
    candidates = moves(mixture, sample)
    if not candidates:
        return None
    stopping = replace(settings.stopping, max_iter=1)
    glance = replace(settings, accelerate=None, stopping=stopping)
    seen: list[Candidate] = ranking(run(statistics_of_sample(sample), start(candidates), glance))
    return seen[0].mixture


def moves(mixture: Mixture, sample: Sample) -> list[Mixture]:
    """Mixtures in which one of the components that are missed least has half of another."""
    heaviest = np.argsort(-mixture.weights, kind="stable")[:MOST].tolist()
    components = np.arange(mixture.components)
    return [
        halved(mixture, np.where(components == into, k, components), k, into)
        for into in np.argsort(missed(mixture, sample), kind="stable")[:LEAST_MISSED].tolist()
        for k in heaviest
        if k != into
    ]


def missed(mixture: Mixture, sample: Sample) -> Array:
    """The log-likelihood of all rows that goes with each component, (K,): −Σ_n log (1 − r_nk)."""
    own = mixture.responsibilities(sample.rows)[:, : mixture.components]
    others = np.maximum(1 - own, np.finfo(np.float64).tiny)
    lost: Array = -(sample.weights @ np.log(others))
    return lost
