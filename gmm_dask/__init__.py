"""Gaussian mixtures for data that fits no machine.

Names are imported when they are first asked for, so that a command's `--help` need not load Dask.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gmm_dask.chunked.rows import DataError, Rows, open_rows
    from gmm_dask.configuration import Configuration, ConfigurationError
    from gmm_dask.estimator import GaussianMixture
    from gmm_dask.fitting import evaluate, fit
    from gmm_dask.mixture.parameters import Mixture
    from gmm_dask.result import Fit
    from gmm_dask.selection import select

_HOMES = {
    "Configuration": "gmm_dask.configuration",
    "ConfigurationError": "gmm_dask.configuration",
    "DataError": "gmm_dask.chunked.rows",
    "Fit": "gmm_dask.result",
    "GaussianMixture": "gmm_dask.estimator",
    "Mixture": "gmm_dask.mixture.parameters",
    "Rows": "gmm_dask.chunked.rows",
    "evaluate": "gmm_dask.fitting",
    "fit": "gmm_dask.fitting",
    "open_rows": "gmm_dask.chunked.rows",
    "select": "gmm_dask.selection",
}

__all__ = [
    "Configuration",
    "ConfigurationError",
    "DataError",
    "Fit",
    "GaussianMixture",
    "Mixture",
    "Rows",
    "evaluate",
    "fit",
    "open_rows",
    "select",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gmm_dask' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
