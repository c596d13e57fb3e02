"""What was found of the components of a run's model, kept beside it, as long as it is this model.

Written at any time after the fit, driver or no driver, as reports are.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from gmm_dask.mixture.parameters import Mixture
from gmm_dask.runs.documents import keep_document
from gmm_dask.runs.inspection import model_at
from gmm_dask.runs.layout import OVERLAP
from gmm_dask.scoring.merging.overlap import Overlap
from gmm_dask.store.errors import KeyMissingError, UnknownFormatError
from gmm_dask.store.location import Location, open_folder
from gmm_dask.store.sealed import seal, unseal

FORMAT = {"format": "gmm-dask overlap", "format_version": 1}


def keep_overlap(run: Location, found: Overlap) -> str:
    """Write it, in place of an earlier one; its path or URL."""
    content = {**FORMAT, "of": _identity(found.mixture), **found.values()}
    return keep_document(run, OVERLAP, seal(content))


def load_overlap(run: Location) -> Overlap:
    """That of a run's model, as `overlap(…, run=run)` or `gmm-dask overlap` has kept it."""
    found = overlap_in(run, model_at(os.fspath(run)).mixture)
    if found is None:
        raise KeyMissingError(
            f"which components of {run} share rows is not known: first `gmm-dask overlap {run} "
            "SOURCE`, of a run folder"
        )
    return found


def overlap_in(run: Location, mixture: Mixture) -> Overlap | None:
    """That of the run's mixture; None where none is kept, or one of another mixture."""
    try:
        content = unseal(open_folder(run).read(OVERLAP), OVERLAP)
    except KeyMissingError:
        return None
    if {name: content.get(name) for name in FORMAT} != FORMAT:
        raise UnknownFormatError(
            f"{OVERLAP} of {run} has format version {content.get('format_version')}; this program "
            f"reads {FORMAT['format_version']}: use the version of gmm-dask that wrote it"
        )
    return Overlap.of(mixture, content) if content["of"] == _identity(mixture) else None


def _identity(mixture: Mixture) -> dict[str, Any]:
    """What no two fits have in common."""
    return {
        "family": mixture.family,
        "weights": mixture.weights.tolist(),
        "means": mixture.means.tolist(),
        "variances": np.asarray(mixture.variances).tolist(),
    }
