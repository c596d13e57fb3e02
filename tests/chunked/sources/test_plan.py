"""Blocks follow the store's chunks and nothing else."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gmm_dask.chunked.sources.plan import common_boundaries, plan_cuts
from gmm_dask.chunked.sources.protocol import regular_boundaries

lengths = st.lists(st.integers(0, 50), min_size=1, max_size=40).filter(lambda x: sum(x) > 0)


def ends(chunks: list[int]) -> np.ndarray:
    return np.unique(np.concatenate([[0], np.cumsum(chunks)]))


@given(lengths, st.integers(1, 100), st.integers(1, 200), st.data())
def test_cuts_lie_on_chunks_and_blocks_are_large_enough(
    chunks: list[int], target: int, largest: int, data: st.DataObject
) -> None:
    count = sum(chunks)
    first = data.draw(st.integers(0, count - 1))
    last = data.draw(st.integers(first + 1, count))
    cuts = plan_cuts(
        first, last, [ends(chunks)], row_bytes=1, target_bytes=target, largest_bytes=largest
    )
    assert cuts[0] == first
    assert cuts[-1] == last
    assert all(a < b for a, b in pairwise(cuts))
    assert set(cuts[1:-1]) <= set(ends(chunks).tolist())
    for a, b in pairwise(cuts[:-1]):
        inside = [end for end in ends(chunks).tolist() if a < end < b]
        too_large = b - a > max(largest, target)
        assert b - a >= target or any(
            end - a > max(largest, target) for end in ends(chunks).tolist() if end > b
        )
        assert not (too_large and inside), "a block may exceed the limit only as a single chunk"


def test_small_chunks_are_joined_and_large_ones_left_alone() -> None:
    layout = np.array([0, 1, 2, 3, 100, 101])
    cuts = plan_cuts(0, 101, [layout], row_bytes=8, target_bytes=16, largest_bytes=160)
    assert cuts == (0, 2, 3, 100, 101)


def test_rows_without_chunks_are_cut_evenly() -> None:
    cuts = plan_cuts(5, 26, [], row_bytes=8, target_bytes=80, largest_bytes=800)
    assert cuts == (5, 15, 25, 26)


def test_columns_share_boundaries_when_they_are_near() -> None:
    threes, twos = regular_boundaries(100, 3), regular_boundaries(100, 2)
    sixes = regular_boundaries(100, 6)
    assert common_boundaries([threes, twos], 50).tolist() == sixes.tolist()
    # Cuts every 6 rows are not allowed: chunks of 2 are split rather than chunks of 3.
    assert common_boundaries([threes, twos], 5).tolist() == threes.tolist()


def test_one_huge_chunk_of_weights_does_not_make_one_huge_block() -> None:
    fine, whole = regular_boundaries(10_000, 10), regular_boundaries(10_000, 10_000)
    assert common_boundaries([fine, whole], 500).tolist() == fine.tolist()
    assert common_boundaries([whole], 500).tolist() == whole.tolist()
