"""Indices of agreement are scikit-learn's, from the table of both labels."""

import numpy as np
import pytest
from sklearn import metrics

from gmm_dask.scoring.contingency import Agreement


def table_of(one, other):
    return metrics.cluster.contingency_matrix(one, other).astype(float)


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.7, 1.0])
@pytest.mark.parametrize("numbers", [(4, 4), (3, 7), (1, 5), (1, 1)])
def test_indices_are_scikit_learns(noise, numbers):
    random = np.random.default_rng(3)
    one = random.integers(numbers[0], size=2000)
    other = np.where(random.random(2000) < noise, random.integers(numbers[1], size=2000), one)
    found = Agreement(table_of(one, other))
    assert found.adjusted_rand == pytest.approx(metrics.adjusted_rand_score(one, other), abs=1e-12)
    assert found.rand == pytest.approx(metrics.rand_score(one, other), abs=1e-12)
    fowlkes_mallows = metrics.fowlkes_mallows_score(one, other)
    assert found.fowlkes_mallows == pytest.approx(fowlkes_mallows, abs=1e-12)
    assert found.v_measure == pytest.approx(metrics.v_measure_score(one, other), abs=1e-12)
    (_, apart), (only, both) = metrics.cluster.pair_confusion_matrix(one, other)
    assert found.jaccard == pytest.approx(both / (apart + only + both), abs=1e-12)


def test_a_row_of_weight_w_is_w_rows():
    one, other, weights = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), np.array([3, 1, 2, 5])
    table = np.zeros((2, 2))
    np.add.at(table, (one, other), weights)
    repeated = metrics.adjusted_rand_score(np.repeat(one, weights), np.repeat(other, weights))
    assert Agreement(table).adjusted_rand == pytest.approx(repeated, abs=1e-12)


def test_labels_that_are_but_named_otherwise_agree():
    found = Agreement(np.array([[0, 5, 0], [0, 0, 7], [3, 0, 0.0]]))
    assert found.matching == ((0, 1), (1, 2), (2, 0))
    assert found.matched == found.adjusted_rand == found.fowlkes_mallows == 1
    assert Agreement(np.array([[4, 1], [0, 5.0]])).matched == 0.9


def test_rows_that_lie_alone_have_no_pairs():
    """As scikit-learn has it: all clusters of one row each, or of one row altogether."""
    alone = Agreement(np.eye(4))
    assert alone.adjusted_rand == 1
    assert alone.fowlkes_mallows == metrics.fowlkes_mallows_score(range(4), range(4))
    assert Agreement(np.ones((1, 1))).rand == 1
