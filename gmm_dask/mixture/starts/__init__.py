"""Where a fit can begin: drawn from a sample of rows, given, or the winners of a race."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gmm_dask.mixture.registry import Registry

if TYPE_CHECKING:
    from gmm_dask.mixture.starts.seeding import Seeding

METHODS: Registry[Seeding] = Registry(
    "initialisation",
    {
        "kmeans": "gmm_dask.mixture.starts.seeding:KMEANS",
        "k-means++": "gmm_dask.mixture.starts.seeding:KMEANS_PLUS_PLUS",
        "random_from_data": "gmm_dask.mixture.starts.seeding:RANDOM_FROM_DATA",
        "split-and-merge": "gmm_dask.mixture.starts.seeding:KMEANS",
        "random": "gmm_dask.mixture.starts.seeding:random_responsibilities",
    },
)
"""scikit-learn's names for `init_params`, and our own."""

MOVED = frozenset({"split-and-merge"})
"""Those whose draws are improved on the sample before all rows are seen; drawn as k-means does."""


def method_names() -> tuple[str, ...]:
    """All ways to start from a sample that can be asked for."""
    return tuple(METHODS)
