"""Where a fit can begin: drawn from a sample of rows, given, or the winners of a race."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gmm_dask.mixture.registry import Registry

if TYPE_CHECKING:
    from gmm_dask.mixture.starts.initial import Method

METHODS: Registry[Method] = Registry(
    "initialisation",
    {
        "kmeans": "gmm_dask.mixture.starts.initial:KMEANS",
        "k-means++": "gmm_dask.mixture.starts.initial:KMEANS_PLUS_PLUS",
        "random_from_data": "gmm_dask.mixture.starts.initial:RANDOM_FROM_DATA",
        "random": "gmm_dask.mixture.starts.initial:random_responsibilities",
    },
)
"""scikit-learn's names for `init_params`."""


def method_names() -> tuple[str, ...]:
    """All ways to start from a sample that can be asked for."""
    return tuple(METHODS)
