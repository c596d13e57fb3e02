"""Rows that a model is applied to, and what is to be written of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gmm_dask.chunked.rows import Rows, open_rows
from gmm_dask.fitting.job import Opening, only_table
from gmm_dask.scoring.options import WRITABLE, Written
from gmm_dask.settings.configuration import ConfigurationError

OUTLIER_SHARE = 0.01
"""Of rows that are outliers where none is given."""


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
