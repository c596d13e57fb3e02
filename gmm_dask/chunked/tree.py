"""The fixed binary tree over block index, in integers alone.

Floating-point addition depends on its order. The order here depends on nothing but the number of
blocks: node (l, i) covers blocks [i·2^l, (i+1)·2^l) and is its left half combined with its right
half, or its left half alone where the right one is empty. A task that folds an aligned
power-of-two run of blocks therefore computes one node exactly, whatever the other tasks do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import add
from typing import TypeVar

T = TypeVar("T")


def fold(values: Iterable[T], combine: Callable[[T, T], T] = add) -> T:
    """Combine values in tree order, holding at most log2(n) + 1 of them (a binary counter)."""
    nodes: list[tuple[int, T]] = []  # complete nodes from left to right, levels falling
    for value in values:
        level = 0
        while nodes and nodes[-1][0] == level:
            value = combine(nodes.pop()[1], value)
            level += 1
        nodes.append((level, value))
    if not nodes:
        raise ValueError("there is nothing to fold")
    total = nodes.pop()[1]
    while nodes:
        total = combine(nodes.pop()[1], total)
    return total


FEW_THREADS = 64


def share_size(blocks: int, threads: int, tasks_per_thread: int | None = None) -> int:
    """Blocks per task: the largest power of two that leaves every thread enough tasks.

    Eight a thread leave none idle for long at the end of a pass; of many threads, four each are as
    many as a scheduler deals out in good time.
    """
    enough = tasks_per_thread or (8 if threads <= FEW_THREADS else 4)
    wanted = max(1, threads * enough)
    size = 1
    while size < blocks and -(-blocks // (2 * size)) >= wanted:
        size *= 2
    return size


def runs(count: int, size: int) -> list[tuple[int, int]]:
    """[0, size), [size, 2·size), … up to count."""
    return [(first, min(first + size, count)) for first in range(0, count, size)]
