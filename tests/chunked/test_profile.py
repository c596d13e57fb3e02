"""The profile sees every row once, whatever the chunks, and says precisely what is wrong."""

from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gmm_dask.chunked.engines.dask import DaskEngine
from gmm_dask.chunked.engines.in_process import SerialEngine
from gmm_dask.chunked.profile import PrecisionWarning, Profile, profile
from gmm_dask.chunked.rows import DataError, Rows, open_rows
from gmm_dask.chunked.sample import row_keys
from tests.chunked.conftest import store

VALUES = np.random.default_rng(3).normal(3, 2, size=(500, 3))


def seen(rows: Rows, sample_rows: int = 20, seed: int = 4) -> Profile:
    return profile(SerialEngine(rows, cache="none"), sample_rows=sample_rows, seed=seed)


def test_it_counts_and_measures() -> None:
    weights = np.random.default_rng(5).uniform(0, 2, 500)
    made = seen(open_rows(VALUES, weights=weights, block_bytes=2400))
    mean = np.average(VALUES, axis=0, weights=weights)
    assert (made.rows, made.finite_rows, made.skipped_rows) == (500, 500, 0)
    assert made.weight_total == pytest.approx(weights.sum(), rel=1e-13)
    np.testing.assert_allclose(made.mean, mean, rtol=1e-12)
    variance = np.average((VALUES - mean) ** 2, axis=0, weights=weights)
    np.testing.assert_allclose(made.sd, np.sqrt(variance), rtol=1e-12)
    np.testing.assert_array_equal(made.minimum, VALUES.min(axis=0))
    np.testing.assert_array_equal(made.maximum, VALUES.max(axis=0))


@settings(deadline=None, max_examples=12)
@given(st.integers(1, 130), st.integers(1, 4000), st.integers(0, 600), st.integers(0, 2**70))
def test_the_sample_is_the_same_for_any_chunking(
    height: int, block_bytes: int, size: int, seed: int
) -> None:
    weights = np.arange(500) % 7.0
    expected = seen(open_rows(VALUES, weights=weights), size, seed).sample
    chunked = dask.array.from_array(VALUES, chunks=(height, 3))
    rows = open_rows(chunked, weights=weights, block_bytes=block_bytes, largest_block_bytes=4000)
    made = seen(rows, size, seed).sample
    np.testing.assert_array_equal(made.indices, expected.indices)
    np.testing.assert_array_equal(made.rows, VALUES[made.indices])
    np.testing.assert_array_equal(made.weights, weights[made.indices])
    np.testing.assert_array_equal(made.represented, expected.represented)
    part = made.first(size // 2)
    smaller = seen(open_rows(VALUES, weights=weights), size // 2, seed).sample
    np.testing.assert_array_equal(part.indices, smaller.indices)
    np.testing.assert_array_equal(part.represented, smaller.represented)
    assert (made.weights > 0).all(), "rows of weight zero are never drawn"
    assert len(set(made.indices.tolist())) == len(made) == min(size, int((weights > 0).sum()))


def test_the_sample_is_uniform_and_follows_the_seed() -> None:
    rows = open_rows(np.arange(2000.0))
    drawn = [seen(rows, 100, seed).sample.indices for seed in range(200)]
    assert len({tuple(one) for one in map(sorted, drawn)}) == 200
    counts = np.bincount(np.concatenate(drawn) // 100, minlength=20)
    # 20,000 draws over 20 bins of 1,000: beyond five sd about one time in a million per bin.
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


@pytest.mark.parametrize("weight", [None, 1.0, 2.5])
def test_rows_of_one_weight_are_drawn_by_their_keys_alone(weight: float | None) -> None:
    weights = None if weight is None else np.full(500, weight)
    made = seen(open_rows(VALUES, weights=weights), 60).sample
    keys = row_keys(4, np.arange(500))
    np.testing.assert_array_equal(made.indices, np.argsort(keys)[:60])
    np.testing.assert_array_equal(made.represented, 1.0)


def test_the_sample_stands_for_all_rows_without_bias() -> None:
    draw = np.random.default_rng(1)
    weights = draw.pareto(0.7, size=500)
    rows, heaviest = open_rows(VALUES, weights=weights), weights.argmax()
    exact = np.array([weights.sum(), weights @ VALUES[:, 0], weights[VALUES[:, 1] > 4].sum()])
    estimates = []
    for seed in range(1500):
        made = seen(rows, 30, seed).sample
        assert heaviest in made.indices
        whole = made.represented / made.beyond
        there = made.rows
        estimates.append([whole.sum(), whole @ there[:, 0], whole[there[:, 1] > 4].sum()])
    error = np.std(estimates, axis=0) / np.sqrt(len(estimates))
    assert (np.abs(np.mean(estimates, axis=0) - exact) < 4.5 * error).all()


def test_weights_of_nothing_beside_others_are_survived() -> None:
    weights = np.where(np.arange(500) % 2, 1e-310, 1e150)
    made = seen(open_rows(VALUES, weights=weights), 300).sample
    assert set(range(0, 500, 2)) <= set(made.indices.tolist())
    assert np.isfinite(made.represented.sum())


def test_a_range_of_rows_draws_by_index_in_the_source() -> None:
    whole = seen(open_rows(VALUES), 500).sample
    part = seen(open_rows(VALUES, rows=slice(100, 300)), 500).sample
    inside = whole.indices[(whole.indices >= 100) & (whole.indices < 300)]
    np.testing.assert_array_equal(part.indices, inside)


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_a_cluster_sees_the_same(client: Client, tmp_path: Path, cache: Any) -> None:
    path = store(tmp_path / "rows.zarr", VALUES, chunks=(20, 3))
    rows = open_rows(path, block_bytes=480)
    made = profile(DaskEngine(client, rows, cache=cache), sample_rows=50, seed=2)
    expected = seen(rows, 50, 2)
    assert made.summary() == expected.summary()
    np.testing.assert_array_equal(made.sample.rows, expected.sample.rows)


@pytest.mark.parametrize("offset", [0.0, 1e8, -1e12])
def test_spread_survives_distance_from_the_origin(offset: float) -> None:
    made = seen(open_rows(VALUES + offset, block_bytes=240))
    exact = (VALUES + offset) - offset  # the same rounded values, moved back without rounding
    np.testing.assert_allclose(made.sd, exact.std(axis=0), rtol=1e-12)


def test_very_large_values_are_survived() -> None:
    made = seen(open_rows(np.array([[1e150], [-1e150], [1e150]]), block_bytes=8))
    assert made.sd[0] == pytest.approx(1e150 * np.sqrt(8 / 9))


def spoilt(row: int, value: float, dtype: str = "f8") -> NDArray[Any]:
    values = VALUES.astype(dtype)
    values[row, 1] = value
    return values


@pytest.mark.parametrize("row", [0, 249, 499])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e151])
def test_the_first_value_that_is_not_finite_is_named(
    row: int, value: float, tmp_path: Path
) -> None:
    values = spoilt(row, value)
    values[499, 2] = np.nan
    path = store(tmp_path / "rows.zarr", values, chunks=(20, 3))
    count = 1 if row == 499 else 2
    message = (
        rf"rows\.zarr: row {row} has x1 = {value:g} \(chunk c/{row // 20}/0\); "
        rf"{count} of 500 rows are not finite"
    ).replace("+", r"\+")
    with pytest.raises(DataError, match=message):
        seen(open_rows(path, block_bytes=480))


def test_the_index_counts_from_the_first_row_in_long_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gmm_dask.chunked.profile.STRIP_VALUES", 30)
    with pytest.raises(DataError, match="row 249 has x1 = nan; 1 of 500 rows"):
        seen(open_rows(spoilt(249, np.nan)))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_rows_that_are_not_finite_are_skipped_and_counted(dtype: str) -> None:
    values = spoilt(0, np.nan, dtype)
    values[[77, 499], 0] = np.inf
    rows = open_rows(values, nonfinite="skip", block_bytes=480)
    made = seen(rows, 500)
    good = np.delete(values, [0, 77, 499], axis=0).astype("f8")
    assert (made.rows, made.finite_rows, made.skipped_rows) == (500, 497, 3)
    assert made.weight_total == 497
    np.testing.assert_allclose(made.mean, good.mean(axis=0), rtol=1e-12)
    assert not {0, 77, 499} & set(made.sample.indices.tolist())
    kept = np.concatenate([rows.read(i)[0] for i in range(len(rows))])
    np.testing.assert_array_equal(kept, np.delete(values, [0, 77, 499], axis=0))


def test_the_row_is_named_by_its_index_in_the_source() -> None:
    with pytest.raises(DataError, match="row 249 has x1 = nan"):
        seen(open_rows(spoilt(249, np.nan), rows=slice(200, 300), features=[2, 1]))


@pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf, 1e200])
@pytest.mark.parametrize("policy", ["error", "skip"])
def test_weights_must_not_be_negative(value: float, policy: Any) -> None:
    weights = np.ones(500)
    weights[[321, 400]] = value
    named = (
        "weights the array: row 321 has .*2 of 500 weights are negative, not finite or beyond 1e"
    )
    with pytest.raises(DataError, match=named):
        seen(open_rows(VALUES, weights=weights, nonfinite=policy, block_bytes=480))


def test_nothing_left_to_fit() -> None:
    with pytest.raises(DataError, match="every weight is zero"):
        seen(open_rows(VALUES, weights=np.zeros(500)))
    with pytest.raises(DataError, match="none of 500 rows is finite"):
        seen(open_rows(VALUES * np.nan, nonfinite="skip"))


def test_float32_far_from_the_origin_is_warned_of() -> None:
    far = (VALUES[:, :2] + [0, 3e4]).astype("f4")
    with pytest.warns(PrecisionWarning, match="x1 is stored as float32 with mean/sd"):
        seen(open_rows(far))
    seen(open_rows(far.astype("f8")))
    seen(open_rows((VALUES + 1e3).astype("f4")))
    seen(open_rows(np.ones((5, 2), "f4")))  # constant: no spread to lose


def test_integers_are_finite() -> None:
    made = seen(open_rows(np.array([[2**62], [-(2**62)]])))
    assert made.maximum[0] == 2.0**62
