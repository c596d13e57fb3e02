"""A model and rows to apply it to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gmm_dask.chunked.rows import Rows, open_rows
from gmm_dask.cli.execution import going_on
from gmm_dask.fitting.job import Opening, only_table
from gmm_dask.models.model import Model, load_model
from gmm_dask.models.versions import load_version, look_at_versions
from gmm_dask.runs.folder import look_at_run, read_finished
from gmm_dask.scoring.score import WRITABLE, Written
from gmm_dask.settings.configuration import ConfigurationError
from gmm_dask.store.errors import KeyMissingError

OUTLIER_SHARE = 0.01
"""Of rows that are outliers where none is given."""


def model_at(where: str) -> Model:
    """The model at a path or URL, the one in a run folder, or the current one of its versions."""
    if look_at_versions(where) is not None:
        return load_version(where).model
    run = look_at_run(where)
    if run is None:
        return load_model(where)
    # In an object store the model of the attempt before lies there until this one is finished.
    if read_finished(run) is None:
        raise KeyMissingError(
            f"the run {where} has no model yet: it is not finished; {going_on(where)}"
        )
    return load_model(f"{where.rstrip('/')}/model.zarr")


def rows_at(source: str, given: Mapping[str, Any]) -> Rows:
    """Rows by the options of a command line; None is not given."""
    opening = Opening(**{name: value for name, value in given.items() if value is not None})
    arguments = opening.arguments()
    arguments["array"] = opening.array or only_table(source, opening)
    return open_rows(source, **arguments)


def outliers_asked(
    names: Sequence[str], quantile: float | None
) -> tuple[tuple[Written, ...], float | None]:
    """What the library is to write: `outlier` is a wish for a quantile."""
    unknown = [name for name in names if name not in (*WRITABLE, "outlier")]
    if unknown:
        known = ", ".join((*WRITABLE, "outlier"))
        raise ConfigurationError(f"--write {unknown[0]!r} is not known; choose of {known}")
    wanted = tuple(name for name in WRITABLE if name in names)
    share = OUTLIER_SHARE if quantile is None and "outlier" in names else quantile
    return wanted, share
