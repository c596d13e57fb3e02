"""Scores of all rows, written chunk by chunk to a new Zarr group beside the data.

How the group stays invisible until it is whole: `group.py`; how it is written: `score_writer.py`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol

from distributed import Client

from gmm_dask.chunked.rows import Rows, open_rows
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.models.model import load_model
from gmm_dask.scoring.densities import Scored
from gmm_dask.scoring.features import by_name, check_features
from gmm_dask.scoring.group import ScoreGroup
from gmm_dask.scoring.layout import ScoreLayout, score_blocks
from gmm_dask.scoring.merging.merged import MergedMixture
from gmm_dask.scoring.score_writer import ScoreWriter
from gmm_dask.settings.scores import ScoreOptions, Written
from gmm_dask.store.location import Location

logger = logging.getLogger("gmm_dask")


class HasMixture(Protocol):
    """A `Fit`, a `Model`: what carries a mixture and the names of its features."""

    @property
    def mixture(self) -> Scored: ...

    @property
    def feature_names(self) -> Sequence[str] | None: ...


@dataclass(frozen=True, eq=False)
class Named:
    """A mixture and the names of its features: of clusters, such as a merged model's."""

    mixture: Scored
    feature_names: Sequence[str] | None


@dataclass(frozen=True)
class Scores:
    """What was written, in a few numbers; the same are in the group's attributes."""

    where: str
    arrays: tuple[str, ...]
    rows: int
    skipped: int
    shares: tuple[float, ...]
    mean_log_density: float
    outliers: int | None
    outlier_threshold: float | None
    blocks: int
    blocks_written: int

    def summary(self) -> dict[str, Any]:
        """What does not depend on where, nor on how many calls it took; JSON-able."""
        values = asdict(self)
        return {name: values[name] for name in values if name not in ("where", "blocks_written")}


def score(
    model: Scored | HasMixture | Location,
    source: object,
    out: Location,
    *,
    write: Sequence[Written] = ("labels", "log_density"),
    top: int | None = None,
    quantile: float | None = None,
    threshold: float | None = None,
    dtype: Literal["float64", "float32"] = "float64",
    client: Client | None = None,
    overwrite: bool = False,
    **opening: Any,
) -> Scores:
    """Write what a model says of every row to a new Zarr group at a path or URL.

    `model` is a mixture, a fit, or where a model is stored; or a mixture of clusters (`merged`),
    and then labels and probabilities are of these. `source` and `opening` are those of
    `open_rows`. Arrays, row i being the i-th of the rows chosen:

    labels (N,)              the most probable component, in the smallest integers that hold it;
                             -1 for noise
    probabilities (N, K)     responsibilities, as `dtype`, that of noise last; with `top=m`, instead
                             of them
    top_components, top_probabilities (N, m)    the m most probable, in falling order
    log_density (N,)         log p(x)
    outlier (N,)             log p(x) < `threshold`, or below the `quantile` of these very rows:
                             their share is quantile − 1e-5 at least, and never more than it

    Cells of a grid (`sample_dims=`) are written as one, beside their coordinates, for xarray to
    open. Rows that `nonfinite="skip"` passes over have label −1, NaN, and are no outliers. Workers
    of `client`, or else of the active one, read and write; without any this process does. Until all
    is written the group has no metadata, so nothing opens it. Called again, only missing blocks
    are written, a finished group is left alone, and one by another model, of other data or with
    other options is refused unless it is to be overwritten. RunIsBusy while another process
    writes there.
    """
    options = ScoreOptions(tuple(write), top, quantile, threshold, dtype)
    mixture, names = mixture_of(model)
    options.check_top(mixture.parts)
    opened = source if isinstance(source, Rows) else open_rows(source, **opening)
    opened = by_name(opened, names)
    rows = score_blocks(replace(opened, weights=None), options, mixture)
    check_features(rows.source.address, rows.feature_names, mixture.features, names)
    layout = ScoreLayout(mixture, rows, options)
    writer = ScoreWriter(ScoreGroup.at(out, layout.record(), overwrite=overwrite), layout, client)
    done = None if overwrite else writer.complete()
    if done is not None:
        logger.info("%s is complete: nothing to do", writer.group.where)
        return _scores(writer.group.where, done, 0)
    with writer.group.held(overwrite=overwrite) as lock:
        return _scores(writer.group.where, *writer.write(lock))


def _scores(where: str, summary: Mapping[str, Any], written: int) -> Scores:
    listed = {name: tuple(summary[name]) for name in ("arrays", "shares")}
    return Scores(where=where, blocks_written=written, **{**summary, **listed})


def mixture_of(
    model: Scored | HasMixture | Location,
) -> tuple[Scored, Sequence[str] | None]:
    """A mixture, and the names of its features where it has some."""
    if isinstance(model, Mixture | MergedMixture):
        return model, None
    carrier = load_model(model) if isinstance(model, str | os.PathLike) else model
    return carrier.mixture, carrier.feature_names
