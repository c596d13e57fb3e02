"""The tree is fixed: the same bits however blocks are grouped into tasks."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmm_dask.chunked.tree import FEW_THREADS, UNEVEN, fold, nodes, root, shares

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


@given(floats, st.data())
def test_runs_of_any_size_merged_in_any_number_give_the_same_bits(
    values: list[float], data: st.DataObject
) -> None:
    leaves = [(i, 0, value) for i, value in enumerate(values)]
    level = [nodes(leaves[a:b]) for a, b in cut(len(leaves), data)]
    level = [nodes(chain.from_iterable(level[a:b])) for a, b in cut(len(level), data)]
    assert root(chain.from_iterable(level)).hex() == fold(values).hex()


def cut(length: int, data: st.DataObject) -> list[tuple[int, int]]:
    """Runs of any lengths."""
    between = data.draw(st.sets(st.integers(1, max(1, length - 1))))
    return list(pairwise(sorted({0, *between, length})))


@given(st.integers(0, 300), st.integers(1, 300))
def test_a_run_is_two_nodes_of_a_level_at_most(first: int, length: int) -> None:
    made = nodes((i, 0, str(i)) for i in range(first, first + length))
    levels = Counter(level for _, level, _ in made)
    assert max(levels.values()) <= 2
    ends = [place + 2**level for place, level, _ in made]
    assert [place for place, _, _ in made] == [first, *ends[:-1]]
    assert ends[-1] == first + length
    assert all(place % 2**level == 0 for place, level, _ in made)


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
def test_every_thread_has_eight_tasks_alike_and_one_of_many_half_as_many(
    blocks: int, threads: int
) -> None:
    each = 8 if threads <= FEW_THREADS else 4
    cut = shares(blocks, threads)
    assert [cut[0][0], *(last for _, last in cut)] == [0, *(first for first, _ in cut[1:]), blocks]
    assert len(cut) == max(1, min(blocks, each * threads))
    sizes = [last - first for first, last in cut]
    assert max(sizes) - min(sizes) <= max(1, max(sizes) / 2)
    own = [sum(sizes[i : i + each]) for i in range(0, len(cut), each)]
    if threads and blocks >= each * threads:
        assert len(own) == threads
        assert max(own) <= blocks / threads * (1 + 2 / (UNEVEN * each)) + 1


@given(st.integers(1, 10**7), st.integers(1, 1000))
def test_shares_are_of_few_nodes(blocks: int, threads: int) -> None:
    for first, last in shares(blocks, threads)[:-1][:50]:
        assert len(whole(first, last)) <= 2 * (UNEVEN.bit_length() + 1)


def whole(first: int, last: int) -> list[tuple[int, int]]:
    """The largest nodes between two places, by their definition alone."""
    made = []
    while first < last:
        level = 0
        while first % 2 ** (level + 1) == 0 and first + 2 ** (level + 1) <= last:
            level += 1
        made.append((first, level))
        first += 2**level
    return made
