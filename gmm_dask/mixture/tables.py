"""Tables of words and numbers, as aligned text: plain Python, no field of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10

WIDEST = 9
"""Digits on either side of the decimal point beyond which numbers are written with an exponent."""
SMALLEST = 1e-4
"""Below, they are too."""
DIGITS = 15
"""A float64 has no more that mean anything."""


@dataclass(frozen=True)
class Table:
    """Headings, lines of cells as long as these, and a sentence above or below.

    Columns are set to the right, as numbers are; those in `left` to the left.
    """

    headings: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    left: frozenset[int] = frozenset()
    title: str = ""
    note: str = ""

    def __str__(self) -> str:
        rows = [self.headings, *self.lines]
        widths = [max(len(row[j]) for row in rows) for j in range(len(self.headings))]
        text = [self._text(row, widths) for row in rows]
        return "\n".join([*filter(None, [self.title]), *text, *filter(None, [self.note])])

    def _text(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = (
            cell.ljust(width) if j in self.left else cell.rjust(width)
            for j, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()


def aligned(
    values: Iterable[float], unit: float | None = None, digits: int = 3, *, small: bool = False
) -> list[str]:
    """Numbers of one column with the same decimals, so that they line up.

    So many digits as resolve `unit`, by default the largest of the values; `small` ones that would
    read as zero have an exponent.
    """
    numbers = [float(value) for value in values]
    sizes = [abs(number) for number in numbers if isfinite(number)]
    largest = max(sizes, default=0.0)
    unit = largest if unit is None or not 0 < unit < float("inf") else unit
    decimals = digits - 1 - (floor(log10(unit)) if unit else 0)
    places = max(decimals, 0)
    long = largest >= 10.0 ** (DIGITS - places if places else WIDEST)
    if long or places > WIDEST or 0 < largest < SMALLEST:
        return [f"{number:.{digits - 1}e}" for number in numbers]
    texts = [f"{round(number, places) + 0.0:.{places}f}" for number in numbers]
    if not small:
        return texts
    return [f"{n:.1e}" if n and not float(t) else t for n, t in zip(numbers, texts, strict=True)]


def joined(left: Sequence[str], right: Sequence[str], between: str = " ± ") -> list[str]:
    """Two columns as one, each side set to the right."""
    a, b = max(map(len, left), default=0), max(map(len, right), default=0)
    return [f"{x:>{a}}{between}{y:>{b}}" for x, y in zip(left, right, strict=True)]
