"""Lazy predictions: those of the mixture on the whole array, in the chunks of the source."""

import pickle
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
import pytest
from numpy.typing import NDArray

from gmm_dask.chunked.rows import DataError, open_rows
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.scoring import lazy
from tests.chunked.conftest import store

Values = NDArray[np.float64]

FUNCTIONS = ("labels", "responsibilities", "log_density", "log_joint")


@pytest.fixture
def mixture() -> Mixture:
    return a_mixture(4, 3)


def a_mixture(components: int, features: int, family: str = "full") -> Mixture:
    random = np.random.default_rng(components)
    shape = {"full": (components, features, features), "diag": (components, features)}[family]
    covariances = random.uniform(0.5, 2, size=shape)
    if family == "full":
        covariances = covariances @ covariances.transpose(0, 2, 1) + np.eye(features)
    weights = random.uniform(1, 2, size=components)
    means = random.normal(size=(components, features)) * 3
    return Mixture(weights / weights.sum(), means, covariances, family)


@pytest.fixture
def values() -> Values:
    return np.random.default_rng(5).normal(size=(1003, 3)) * 3


def check(
    source: object, mixture: Mixture, values: Values, **opening: Any
) -> list[dask.array.Array]:
    """All predictions of a source are those of the mixture on the whole array."""
    answers = [getattr(lazy, name)(source, mixture, **opening) for name in FUNCTIONS]
    for name, answer, found in zip(FUNCTIONS, answers, dask.compute(*answers), strict=True):
        expected = getattr(mixture, name)(values)
        assert (found.dtype, answer.dtype, answer.ndim) == (expected.dtype,) * 2 + (expected.ndim,)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    return answers


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("layout", [{"chunks": (50, 3)}, {"chunks": (50, 2)}, {"shards": (100, 3)}])
def test_zarr_is_read_on_workers_in_the_blocks_of_the_plan(
    tmp_path: Path, values: Values, mixture: Mixture, layout: Any
) -> None:
    rows = open_rows(
        store(tmp_path / "rows.zarr", values, **{"chunks": (50, 3), **layout}), block_bytes=2400
    )
    for predicted in check(rows, mixture, values):
        assert predicted.chunks[0] == tuple(np.diff(rows.cuts)) == (100,) * 10 + (3,)


@pytest.mark.usefixtures("client")
def test_a_dask_array_keeps_its_own_chunks(values: Values, mixture: Mixture) -> None:
    lengths = (7, 0, 500, 1, 495)
    source = dask.array.from_array(values, chunks=(lengths, (2, 1)))
    for predicted in check(source, mixture, values):
        assert predicted.chunks[0] == lengths


def test_chunks_of_unknown_size_stay_unknown_and_uncomputed(
    values: Values, mixture: Mixture
) -> None:
    computed: list[int] = []

    def seen(block: Values) -> Values:
        computed.append(len(block))
        return block

    source = dask.array.from_array(values, chunks=(100, 2))
    source = source[source[:, 0] > 0].map_blocks(seen, meta=np.empty((0, 0)))
    predicted = lazy.labels(source, mixture)
    assert np.isnan(predicted.chunks[0]).all()
    assert not computed
    with dask.config.set(scheduler="sync"):
        check(source, mixture, values[values[:, 0] > 0])
    assert computed


def test_arrays_ranges_features_and_one_dimension(values: Values) -> None:
    two, one = a_mixture(3, 2), a_mixture(3, 1, "diag")
    chunked = dask.array.from_array(values, chunks=(100, 3))
    with dask.config.set(scheduler="sync"):
        for source in (values, chunked):
            part = {"features": [2, 0], "rows": slice(3, 990), "block_bytes": 1000}
            check(source, two, values[3:990][:, [2, 0]], **part)
            check(source[:, 0], one, values[:, 0])


@pytest.mark.parametrize("kind", ["zarr", "numpy", "dask"])
def test_skipped_rows_stay_in_their_places(
    tmp_path: Path, values: Values, mixture: Mixture, kind: str
) -> None:
    values[[0, 700], [1, 2]] = np.nan, np.inf
    good = np.delete(np.arange(len(values)), [0, 700])
    source = {
        "zarr": store(tmp_path / "rows.zarr", values, chunks=(50, 3)),
        "numpy": values,
        "dask": dask.array.from_array(values, chunks=(400, 3)),
    }[kind]
    for name, bad in zip(FUNCTIONS, (-1, np.nan, np.nan, np.nan), strict=True):
        expected = np.full_like(getattr(mixture, name)(np.zeros((len(values), 3))), bad)
        expected[good] = getattr(mixture, name)(values[good])
        predicted = getattr(lazy, name)(source, mixture, nonfinite="skip")
        found = predicted.compute(scheduler="sync")
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    with pytest.raises(DataError, match=r'row .* has (nan|inf) as feature .*nonfinite="skip"'):
        lazy.labels(source, mixture).compute(scheduler="sync")


def test_absent_chunks_are_errors_unless_they_are_meant(
    tmp_path: Path, values: Values, mixture: Mixture
) -> None:
    path = store(tmp_path / "rows.zarr", values, chunks=(50, 3))
    (tmp_path / "rows.zarr/c/3/0").unlink()
    with pytest.raises(DataError, match="chunk c/3/0 is not in the store"):
        lazy.labels(path, mixture).compute(scheduler="sync")
    values[150:200] = 0
    with dask.config.set(scheduler="sync"):
        check(path, mixture, values, missing_chunks="fill")


def test_refusals(values: Values, mixture: Mixture) -> None:
    chunked = dask.array.from_array(values, chunks=(100, 3))
    for source, told in (
        (values[:, :2], "2 features and the mixture 3"),
        (chunked[:, :2], "2 features and the mixture 3"),
        (chunked[None], "3 dimensions"),
        (chunked + 1j, "real and imaginary"),
        (dask.array.ma.masked_array(chunked), "blocks of MaskedArray"),
    ):
        with pytest.raises(DataError, match=told):
            lazy.labels(source, mixture)


def test_tasks_are_named_small_and_shared(tmp_path: Path, values: Values) -> None:
    """The mixture and the plan are tasks of their own, and blocks are read once for all."""
    path = store(tmp_path / "rows.zarr", values, chunks=(50, 3))
    large = a_mixture(200, 3)
    rows = open_rows(path, block_bytes=1200)
    answers = [getattr(lazy, name)(rows, large) for name in FUNCTIONS]
    graph = dask.base.collections_to_expr(answers, optimize_graph=False).__dask_graph__()
    names = {str(key[0] if isinstance(key, tuple) else key).rsplit("-", 1)[0] for key in graph}
    assert {name for name in names if not name.startswith("arange")} == {
        *("score-table", "score-labels", "score-responsibilities", "score-density", "score-joint"),
        *("score-mixture", "score-rows", "score-answer", "score-places"),
    }
    blocks = [key for key in graph if key[0].startswith("score-table")]
    assert len(blocks) == len(rows) == 21
    each = [key for key in graph if key[0].startswith(("score-table", "score-labels"))]
    assert max(len(pickle.dumps(graph[key])) for key in each) < 2000
    expected = [getattr(large, name)(values) for name in FUNCTIONS]
    for found, meant in zip(dask.compute(*answers, scheduler="sync"), expected, strict=True):
        np.testing.assert_allclose(found, meant, rtol=1e-12, atol=1e-12)
