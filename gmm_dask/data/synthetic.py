"""Synthetic tables of any size with their true labels and parameters beside them.

    X.zarr/rows (N, D)   X.zarr/labels (N,)   X.zarr/truth   the mixture, where it is one

A chunk is drawn from (seed, number of the chunk) alone, so the same bits come out in this process
and on any cluster; no more than a chunk per thread is ever in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from distributed import Client, as_completed

from gmm_dask.chunked.blas import one_blas_thread
from gmm_dask.chunked.engines.workers import asked
from gmm_dask.chunked.rows import TARGET_BYTES
from gmm_dask.chunked.tree import shares
from gmm_dask.data.table import TableArray, TableStore
from gmm_dask.mixture.arrays import Array, Indices
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.models.model import save_model
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.store.location import Location

TRUTH = 2**32  # parameters are drawn from a stream of their own, beside those of the chunks


class Recipe(Protocol):
    """Draws rows."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features."""

    def draw(self, rows: int, random: np.random.Generator) -> tuple[Array, Indices]:
        """Rows (N, D) and their true labels (N,)."""

    def truth(self) -> Mixture | Mapping[str, Any]:
        """What the rows are drawn from."""


@dataclass(frozen=True, eq=False)
class FromMixture:
    """Rows of a Gaussian mixture."""

    mixture: Mixture
    names: tuple[str, ...]

    def draw(self, rows: int, random: np.random.Generator) -> tuple[Array, Indices]:
        return self.mixture.sample(rows, random)

    def truth(self) -> Mixture:
        return self.mixture


@dataclass(frozen=True)
class Rings:
    """Rings about one centre, which no Gaussian fits: radii 1 to K; other features are noise."""

    components: int
    features: int
    width: float = 0.1

    @property
    def names(self) -> tuple[str, ...]:
        return names_of(self.features)

    def draw(self, rows: int, random: np.random.Generator) -> tuple[Array, Indices]:
        labels = random.choice(self.components, size=rows, p=self._weights()).astype(np.intp)
        table = self.width * random.standard_normal((rows, self.features))
        angles = random.uniform(0, 2 * np.pi, rows)
        table[:, 0] += (labels + 1) * np.cos(angles)
        table[:, 1] += (labels + 1) * np.sin(angles)
        return table, labels

    def _weights(self) -> Array:
        """Evenly dense along the rings."""
        radii = np.arange(1.0, self.components + 1)
        return radii / radii.sum()

    def truth(self) -> Mapping[str, Any]:
        return {
            "radii": list(range(1, self.components + 1)),
            "weights": self._weights().tolist(),
            "width": self.width,
        }


def blobs(features: int, components: int, seed: int) -> FromMixture:
    """A random mixture of full covariances whose components overlap a little."""
    return drawn(features, components, seed, apart=2.0)


def overlapping(features: int, components: int, seed: int) -> FromMixture:
    """The same, with means so near each other that plain EM crawls and labels are often wrong."""
    return drawn(features, components, seed, apart=0.7)


def drawn(features: int, components: int, seed: int, apart: float) -> FromMixture:
    """A random mixture; standard deviations are about 2, those of the means are `apart`."""
    random = np.random.default_rng([seed, TRUTH])
    factors = random.normal(size=(components, features, 4 * features + 4)) / 2
    mixture = Mixture(
        random.dirichlet(np.full(components, 5.0)),
        random.normal(size=(components, features)) * apart,
        factors @ factors.transpose(0, 2, 1) / factors.shape[2] * 4,
    )
    return FromMixture(mixture, names_of(features))


def rings(features: int, components: int, seed: int) -> Rings:
    """Rings in the first two features; nothing about them is random."""
    del seed
    if features < 2:
        raise ConfigurationError("rings need at least 2 features")
    return Rings(components, features)


def faithful_like(features: int, components: int, seed: int) -> FromMixture:
    """Eruptions and waiting times as Old Faithful's: the mixture that EM fits to the 272 real ones.

    Always two features and two components.
    """
    del features, components, seed
    mixture = Mixture(
        [0.3559, 0.6441],
        [[2.0364, 54.4785], [4.2897, 79.9681]],
        [[[0.0692, 0.4352], [0.4352, 33.6973]], [[0.1700, 0.9406], [0.9406, 36.0462]]],
    )
    return FromMixture(mixture, ("eruptions", "waiting"))


KINDS: Mapping[str, Callable[[int, int, int], Recipe]] = MappingProxyType(
    {
        "blobs": blobs,
        "overlapping": overlapping,
        "rings": rings,
        "faithful-like": faithful_like,
    }
)


def recipe_named(kind: str, features: int, components: int, seed: int) -> Recipe:
    """The recipe of this name."""
    if kind not in KINDS:
        raise ConfigurationError(f"unknown kind {kind!r}: choose one of {', '.join(KINDS)}")
    return KINDS[kind](features, components, seed)


@dataclass(frozen=True)
class Drawing:
    """All that a task needs to draw some of the chunks and write them."""

    store: TableStore
    recipe: Recipe
    rows: int
    table: TableArray
    labels: TableArray
    seed: int

    def chunks(self, first: int, last: int) -> int:
        """Draw and write chunks [first, last); how many rows they were."""
        with one_blas_thread():
            return sum(self._chunk(number) for number in range(first, last))

    def _chunk(self, number: int) -> int:
        size = min(self.table.chunk_rows, self.rows - number * self.table.chunk_rows)
        rows, labels = self.recipe.draw(size, np.random.default_rng([self.seed, number]))
        self.store.write(self.table, number, rows.astype(self.table.dtype))
        self.store.write(self.labels, number, labels.astype(self.labels.dtype))
        return size


def make(
    recipe: Recipe,
    out: Location,
    rows: int,
    *,
    seed: int = 0,
    dtype: str = "float64",
    chunk_rows: int | None = None,
    client: Client | None = None,
    overwrite: bool = False,
    tell: Callable[[int], None] = lambda _: None,
) -> None:
    """Write a table of `rows` rows; `tell` hears how many more are there."""
    if rows < 1:
        raise ConfigurationError(f"rows must be a whole number from 1 up, not {rows}")
    features = len(recipe.names)
    chunk = min(rows, chunk_rows or chunk_rows_for(features))
    if chunk < 1:
        raise ConfigurationError(f"chunk_rows must be a whole number from 1 up, not {chunk_rows}")
    named = {"feature_names": list(recipe.names)}
    table = TableArray("rows", dtype, chunk, features, rows, attributes=named)
    labels = TableArray("labels", "int32", chunk, rows=rows, compressed=True)
    drawing = Drawing(TableStore.begin(out, overwrite=overwrite), recipe, rows, table, labels, seed)
    count = -(-rows // chunk)
    if client is None:
        for number in range(count):
            tell(drawing.chunks(number, number + 1))
    else:
        draw_on(client, drawing, count, tell)
    _finish(drawing, out)


def draw_on(client: Client, drawing: Drawing, chunks: int, tell: Callable[[int], None]) -> None:
    """The same on a cluster: as many tasks as keep its threads busy."""
    threads = sum(asked(client, "ncores").values())
    shared = client.scatter(drawing, broadcast=True)
    tasks = [client.submit(_draw, shared, *share, pure=False) for share in shares(chunks, threads)]
    for task in as_completed(tasks):
        tell(task.result())


def _draw(drawing: Drawing, first: int, last: int) -> int:
    return drawing.chunks(first, last)


def _finish(drawing: Drawing, out: Location) -> None:
    truth = drawing.recipe.truth()
    attributes: dict[str, Any] = {"seed": drawing.seed, "made_by": "gmm-dask"}
    if isinstance(truth, Mixture):
        save_model(
            truth,
            f"{str(out).rstrip('/')}/truth",
            feature_names=drawing.recipe.names,
            provenance={
                "data": "these are the parameters that the rows were drawn from",
                **attributes,
            },
        )
    else:
        attributes["truth"] = dict(truth)
    drawing.store.finish([drawing.table, drawing.labels], attributes)


def chunk_rows_for(features: int) -> int:
    """Rows of chunks that are blocks of a pass as they are."""
    return max(1, TARGET_BYTES // (8 * features))


def names_of(features: int) -> tuple[str, ...]:
    """x0, x1, …"""
    return tuple(f"x{j}" for j in range(features))
