"""The fixed binary tree over block index, in integers alone.

Floating-point addition depends on its order. The order here depends on nothing but the number of
blocks: node (l, i) covers blocks [i·2^l, (i+1)·2^l) and is its left half combined with its right
half, or its left half alone where the right one is empty. A task over any run of blocks gives the
largest whole nodes within it, a few; who has them all in order has the root, whatever the tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from operator import add
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Node: TypeAlias = tuple[int, int, T]
"""Its first block, its level, and what it amounts to."""

FEW_THREADS = 64
UNEVEN = 4


def nodes(parts: Iterable[Node[T]], combine: Callable[[T, T], T] = add) -> list[Node[T]]:
    """Nodes side by side made into the largest whole ones (at most two of a level)."""
    whole: list[Node[T]] = []
    for part in parts:
        first, level, value = part
        while whole and whole[-1][1] == level and whole[-1][0] % 2 ** (level + 1) == 0:
            first, _, left = whole.pop()
            level, value = level + 1, combine(left, value)
        whole.append((first, level, value))
    return whole


def root(parts: Iterable[Node[T]], combine: Callable[[T, T], T] = add) -> T:
    """The whole tree from nodes of it, which cover every block in order."""
    whole = nodes(parts, combine)
    if not whole:
        raise ValueError("there is nothing to fold")
    total = whole.pop()[2]
    while whole:
        total = combine(whole.pop()[2], total)
    return total


def fold(values: Iterable[T], combine: Callable[[T, T], T] = add) -> T:
    """The whole tree over these values."""
    return root(((i, 0, value) for i, value in enumerate(values)), combine)


def shares(blocks: int, threads: int, tasks_per_thread: int | None = None) -> list[tuple[int, int]]:
    """Runs [first, last) of blocks, alike in size, as many for every thread.

    Eight a thread leave none idle for long at the end of a pass; of many threads, four each are as
    many as a scheduler deals out in good time. Large runs begin at multiples of a power of two, a
    quarter of their size or less, so that they are of few nodes.
    """
    enough = tasks_per_thread or (8 if threads <= FEW_THREADS else 4)
    tasks = max(1, min(blocks, threads * enough))
    unit = 1 << max(0, (blocks // (UNEVEN * tasks)).bit_length() - 1)
    units = blocks // unit
    return list(pairwise([*(unit * (i * units // tasks) for i in range(tasks)), blocks]))


def runs(count: int, size: int) -> list[tuple[int, int]]:
    """[0, size), [size, 2·size), … up to count."""
    return [(first, min(first + size, count)) for first in range(0, count, size)]
