"""The tree is fixed: the same bits however blocks are grouped into tasks."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmm_dask.chunked.tree import FEW_THREADS, fold, runs, share_size

floats = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=70)


def shown(left: str, right: str) -> str:
    return f"({left}{right})"


def node(values: Sequence[str], first: int, height: int) -> str | None:
    """The definition, word for word: left half combined with right half, left alone if none."""
    if first >= len(values):
        return None
    if height == 0:
        return values[first]
    left = node(values, first, height - 1)
    right = node(values, first + 2 ** (height - 1), height - 1)
    return left if left is None or right is None else shown(left, right)


@pytest.mark.parametrize("count", range(1, 40))
def test_fold_is_the_tree_as_defined(count: int) -> None:
    values = [chr(ord("0") + i) for i in range(count)]
    assert fold(values, shown) == node(values, 0, 6)


@given(floats, st.integers(0, 7), st.integers(0, 3))
def test_shares_and_merges_of_any_size_give_the_same_bits(
    values: list[float], share: int, merge: int
) -> None:
    level = [fold(values[a:b]) for a, b in runs(len(values), 2**share)]
    level = [fold(level[a:b]) for a, b in runs(len(level), 2**merge)]
    assert fold(level).hex() == fold(values).hex()


def test_fold_holds_a_logarithm_of_the_values() -> None:
    alive, most = 0, 0

    class Counted:
        def __init__(self) -> None:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

        def __add__(self, other: "Counted") -> "Counted":
            return Counted()

    fold(Counted() for _ in range(1000))
    assert most <= 13


def test_nothing_to_fold() -> None:
    with pytest.raises(ValueError, match="nothing to fold"):
        fold([])


@given(st.integers(1, 100_000), st.integers(0, 200))
def test_every_thread_has_eight_to_sixteen_tasks_and_one_of_many_half_of_that(
    blocks: int, threads: int
) -> None:
    least = 8 if threads <= FEW_THREADS else 4
    size = share_size(blocks, threads)
    tasks = len(runs(blocks, size))
    assert size & (size - 1) == 0
    assert tasks <= 2 * least * max(threads, 1)
    assert tasks >= min(blocks, least * threads)
