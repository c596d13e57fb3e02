"""More components by splitting: which of them is worth it, only a race tells."""

from __future__ import annotations

import numpy as np

from gmm_dask.mixture.maximisation import halved
from gmm_dask.mixture.parameters import Mixture

MOST = 16
"""Components that are split in turn, the heaviest."""


def splits(mixture: Mixture) -> list[Mixture]:
    """Mixtures of one component more, each with another one in two halves."""
    components = mixture.components
    heaviest = np.argsort(-mixture.weights, kind="stable")[:MOST].tolist()
    return [halved(mixture, np.append(np.arange(components), k), k, components) for k in heaviest]
