"""Gaussian mixtures for data that fits no machine.

Names are imported when they are first asked for, so that a command's `--help` need not load Dask.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gmm_dask.chunked.rows import DataError, Rows, open_rows
    from gmm_dask.estimator import BayesianGaussianMixture, GaussianMixture
    from gmm_dask.fitting.fit import evaluate, fit
    from gmm_dask.fitting.refitting.outcome import Refit
    from gmm_dask.fitting.refitting.refit import refit
    from gmm_dask.fitting.result import Fit
    from gmm_dask.fitting.selection import select
    from gmm_dask.mixture.identities import verify
    from gmm_dask.mixture.parameters import Mixture
    from gmm_dask.models.model import load_model, save_model
    from gmm_dask.scoring.agreement import agreement, agreements
    from gmm_dask.scoring.kept_overlap import load_overlap
    from gmm_dask.scoring.overlap import overlap
    from gmm_dask.scoring.score import score
    from gmm_dask.settings.errors import ConfigurationError
    from gmm_dask.settings.mixture import Configuration
    from gmm_dask.settings.refit import RefitOptions

_HOMES = {
    "BayesianGaussianMixture": "gmm_dask.estimator",
    "Configuration": "gmm_dask.settings.mixture",
    "ConfigurationError": "gmm_dask.settings.errors",
    "DataError": "gmm_dask.chunked.rows",
    "Fit": "gmm_dask.fitting.result",
    "GaussianMixture": "gmm_dask.estimator",
    "Mixture": "gmm_dask.mixture.parameters",
    "Refit": "gmm_dask.fitting.refitting.outcome",
    "RefitOptions": "gmm_dask.settings.refit",
    "Rows": "gmm_dask.chunked.rows",
    "agreement": "gmm_dask.scoring.agreement",
    "agreements": "gmm_dask.scoring.agreement",
    "evaluate": "gmm_dask.fitting.fit",
    "fit": "gmm_dask.fitting.fit",
    "load_overlap": "gmm_dask.scoring.kept_overlap",
    "load_model": "gmm_dask.models.model",
    "open_rows": "gmm_dask.chunked.rows",
    "overlap": "gmm_dask.scoring.overlap",
    "refit": "gmm_dask.fitting.refitting.refit",
    "save_model": "gmm_dask.models.model",
    "score": "gmm_dask.scoring.score",
    "select": "gmm_dask.fitting.selection",
    "verify": "gmm_dask.mixture.identities",
}

__all__ = [
    "BayesianGaussianMixture",
    "Configuration",
    "ConfigurationError",
    "DataError",
    "Fit",
    "GaussianMixture",
    "Mixture",
    "Refit",
    "RefitOptions",
    "Rows",
    "agreement",
    "agreements",
    "evaluate",
    "fit",
    "load_model",
    "load_overlap",
    "open_rows",
    "overlap",
    "refit",
    "save_model",
    "score",
    "select",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gmm_dask' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
