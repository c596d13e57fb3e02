"""Sums of shared rows, over any blocks, workers and weights."""

import dask
import numpy as np
import pytest
import zarr
from sklearn import metrics

from gmm_dask import DataError, Mixture, agreement, agreements, open_rows, overlap, score
from gmm_dask.chunked.engines.in_process import SerialEngine
from gmm_dask.scoring import lazy
from gmm_dask.scoring.agreement import counted, of_labels
from gmm_dask.scoring.merging.merged import MergedMixture
from gmm_dask.scoring.overlap import overlap_over
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.store.errors import StorageError
from tests.chunked.conftest import store
from tests.scoring.merging import problems

random = np.random.default_rng(4)
MEANS = np.array([[0, 0], [1.5, 0], [6, 0], [6, 1.5], [0, 7]])
ROWS = MEANS[random.integers(5, size=4000)] + random.normal(size=(4000, 2))
MIXTURE = Mixture(np.full(5, 0.2), MEANS, np.stack([np.eye(2)] * 5))
OTHER = Mixture([0.4, 0.4, 0.2], MEANS[[0, 2, 4]] + 0.3, np.ones(3), "spherical")


def test_chunking_weights_and_workers_change_nothing(client, tmp_path):
    place = store(tmp_path / "rows.zarr", ROWS, chunks=(170, 2))
    options = {"block_bytes": 3000}
    there = overlap(MIXTURE, place, client=client, **options)
    here = overlap(MIXTURE, place, cache="none", **options)
    assert len(set(map(str, (here.values(), there.values())))) == 1
    whole = overlap(MIXTURE, ROWS)
    for name, values in vars(whole.sums).items():
        np.testing.assert_allclose(getattr(here.sums, name), values, rtol=1e-11, err_msg=name)
    assert whole.tree().clusters(3) == ((0, 1), (2, 3), (4,))
    assert whole.merged().cluster_of == (0, 0, 1, 1, 2)
    weights = np.random.default_rng(1).integers(0, 3, len(ROWS))
    heavier = overlap(MIXTURE, ROWS, weights=weights.astype(float))
    repeated = overlap(MIXTURE, np.repeat(ROWS, weights, axis=0))
    assert heavier.tree().entropies == pytest.approx(repeated.tree().entropies, rel=1e-11)


def test_a_pass_is_made_for_each_merge_and_both_trees_share_it():
    passes = []
    mixture, rows = next((mixture, rows) for name, mixture, rows in problems() if name == "eight")
    found = overlap_over(SerialEngine(open_rows(rows), on_pass=passes.append), mixture)
    assert [len(tree.merges) for tree in found.trees.values()] == [7, 7]
    assert found.tree("entropy").clusters(4) != found.tree("misclassification").clusters(4)
    assert [cost.step for cost in passes] == list(range(7))


def test_rows_that_are_skipped_count_for_nothing():
    spoilt = np.concatenate([ROWS, [[np.nan, 1.0]]])
    found = overlap(MIXTURE, spoilt, nonfinite="skip")
    assert found.sums.counts.sum() == pytest.approx(len(ROWS))
    assert agreement(MIXTURE, OTHER, spoilt, nonfinite="skip").weight == len(ROWS)


def test_labels_are_counted_side_by_side(client, tmp_path):
    place = store(tmp_path / "rows.zarr", ROWS, chunks=(170, 2))
    merged = MergedMixture(MIXTURE, (0, 0, 1, 1, 2))
    found = agreements((MIXTURE, OTHER, merged), place, client=client, block_bytes=3000)
    expected = np.zeros((5, 3))
    np.add.at(expected, (MIXTURE.labels(ROWS), OTHER.labels(ROWS)), 1)
    np.testing.assert_array_equal(found[0, 1].table, expected)
    np.testing.assert_array_equal(agreement(MIXTURE, OTHER, ROWS).table, expected)
    joined = np.zeros((3, 3))
    np.add.at(joined, (OTHER.labels(ROWS), merged.labels(ROWS)), 1)
    np.testing.assert_array_equal(found[1, 2].table, joined)
    assert [pair for pair, _ in found] == [(0, 1), (0, 2), (1, 2)]
    weights = np.arange(len(ROWS)) % 3.0
    heavy = agreement(MIXTURE, OTHER, ROWS, weights=weights).table
    np.add.at(expected, (MIXTURE.labels(ROWS), OTHER.labels(ROWS)), weights - 1)
    np.testing.assert_array_equal(heavy, expected)


def test_labels_of_none_are_counted_last():
    one, other = np.array([0, 1, -1, 1, -1]), np.array([0, 0, 1, 1, 0])
    table = counted(one, other, 2, 2, np.array([1.0, 2, 4, 8, 16]))
    np.testing.assert_array_equal(table, [[1, 0, 0], [2, 8, 0], [16, 4, 0]])
    np.testing.assert_array_equal(of_labels(table).table, table[:, :2])


def test_labels_that_are_known_are_compared_too(client, tmp_path):
    classes = np.where(np.arange(len(ROWS)) % 7 == 0, -1, np.arange(len(ROWS)) // 900)
    place = store(tmp_path / "rows.zarr", ROWS, chunks=(170, 2))
    column = store(tmp_path / "classes.zarr", classes, chunks=(1000,))
    found = agreements([MIXTURE], place, labels=column, client=client, block_bytes=3000)[0, 1]
    expected = np.zeros((5, 6))
    np.add.at(expected, (MIXTURE.labels(ROWS), classes), 1)
    np.testing.assert_array_equal(found.table, expected)
    here = agreements((MIXTURE, OTHER), ROWS, labels=classes)
    assert here[0, 2].table.tolist() == expected.tolist()
    known = classes >= 0
    apart = agreements([MIXTURE], ROWS[known], labels=classes[known])[0, 1]
    score_of = metrics.adjusted_rand_score(classes[known], MIXTURE.labels(ROWS[known]))
    assert apart.adjusted_rand == pytest.approx(score_of, abs=1e-12)


def test_known_labels_go_with_their_rows(tmp_path):
    spoilt = ROWS.copy()
    spoilt[::5, 1] = np.nan
    classes = np.arange(len(ROWS)) // 1500
    weights = np.arange(len(ROWS)) % 3.0
    place = store(tmp_path / "rows.zarr", spoilt, chunks=(170, 2))
    options = {"labels": classes, "nonfinite": "skip", "rows": slice(100, 3900)}
    found = agreements([MIXTURE], place, weights=weights, block_bytes=3000, **options)[0, 1]
    kept = np.flatnonzero(np.isfinite(spoilt).all(axis=1))
    kept = kept[(kept >= 100) & (kept < 3900)]
    expected = np.zeros((5, 3))
    np.add.at(expected, (MIXTURE.labels(ROWS[kept]), classes[kept]), weights[kept])
    np.testing.assert_array_equal(found.table, expected)


def test_what_is_no_label_is_refused():
    for wrong in (np.zeros(len(ROWS)), np.full(len(ROWS), -2), np.full(len(ROWS), 10_000)):
        with pytest.raises(DataError, match="is no column of labels"):
            agreements([MIXTURE], ROWS, labels=wrong)
    with pytest.raises(DataError, match="one label per stored row"):
        agreements([MIXTURE], ROWS, labels=np.zeros(5, int))


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="features"):
        overlap(MIXTURE, ROWS[:, :1])
    with pytest.raises(DataError, match="features"):
        agreement(MIXTURE, Mixture([1.0], [[0.0]], [1.0], "spherical"), ROWS)
    with pytest.raises(ConfigurationError, match="two mixtures at least"):
        agreements([MIXTURE], ROWS)


def test_clusters_are_scored_and_told_from_their_components(client, tmp_path):
    place = store(tmp_path / "rows.zarr", ROWS, chunks=(500, 2))
    merged = MergedMixture(MIXTURE, (0, 0, 1, 1, 2))
    options = {"write": ("labels", "probabilities", "log_density"), "client": client}
    told = score(merged, place, tmp_path / "scores.zarr", **options)
    group = zarr.open_group(told.where, mode="r")
    np.testing.assert_array_equal(group["labels"][:], merged.labels(ROWS))
    assert group["probabilities"].shape == (len(ROWS), 3)
    np.testing.assert_allclose(group["probabilities"][:], merged.responsibilities(ROWS), rtol=1e-12)
    np.testing.assert_array_equal(group["log_density"][:], MIXTURE.log_density(ROWS))
    assert len(told.shares) == 3
    assert score(merged, place, tmp_path / "scores.zarr", **options).blocks_written == 0
    with pytest.raises(StorageError, match="model"):
        score(MergedMixture(MIXTURE, (0, 0, 1, 2, 2)), place, tmp_path / "scores.zarr", **options)


def test_clusters_are_told_lazily(client, tmp_path):
    del client
    place = store(tmp_path / "rows.zarr", ROWS, chunks=(500, 2))
    merged, other = (MergedMixture(MIXTURE, by) for by in ((0, 0, 1, 1, 2), (0, 0, 1, 2, 2)))
    together = dask.compute(lazy.labels(place, merged), lazy.labels(place, other))
    np.testing.assert_array_equal(together, [merged.labels(ROWS), other.labels(ROWS)])
    shares = lazy.responsibilities(place, merged)
    assert shares.shape == (len(ROWS), 3)
    np.testing.assert_allclose(shares.compute(), merged.responsibilities(ROWS), rtol=1e-12)
    joint = lazy.log_joint(place, merged).compute()
    np.testing.assert_allclose(joint, merged.log_joint(ROWS), rtol=1e-12)
