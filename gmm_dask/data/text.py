"""Comma-, tab- and otherwise separated text, plain or gzipped; with a header line or without.

A cell that is empty, or NA, or NaN, is missing: NaN. Anything else that is no number is an error
that names line and column.
"""

from __future__ import annotations

import csv
import gzip
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import IO

import numpy as np

from gmm_dask.chunked.sources import DataError
from gmm_dask.data.table_file import Batch, TableFile, chosen, unnamed

SEPARATORS = ",;\t|"
LONGEST_LINE = 2**24
"""Characters of a line, and about as many of lines that are held at once."""
MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "."}


@dataclass(frozen=True)
class TextLayout:
    """How the lines of a file are to be read; a separator of None is any white space."""

    separator: str | None
    header: bool
    names: tuple[str, ...]

    def cells(self, path: str, line: str, number: int) -> list[str]:
        """The cells of one line, which has this number."""
        if self.separator is None:
            return line.split()
        reader = csv.reader([line], delimiter=self.separator, skipinitialspace=True)
        try:
            return next(reader, [])
        except csv.Error as problem:
            raise DataError(
                f"{path} line {number} has a cell that cannot be read ({problem}): "
                "look for a quotation mark without its other, and for another separator"
            ) from None


def open_text(path: str, wanted: Sequence[str] | None) -> TableFile:
    """A text file as a table of float64."""
    with closing(_lines(path)) as lines:
        first = next(lines, None)
    if first is None:
        raise DataError(f"{path} is empty")
    layout = layout_of(path, first)
    columns = chosen(path, layout.names, wanted)

    def batches(size: int) -> Iterator[Batch]:
        with closing(_lines(path)) as lines:
            number = 2 if layout.header else 1
            rest = islice(lines, 1, None) if layout.header else lines
            while part := list(together(rest, size)):
                yield parse(path, layout, columns, part, number)
                number += len(part)

    names = tuple(layout.names[j] for j in columns)
    return TableFile(path, names, np.dtype("f8"), batches)


def together(lines: Iterator[str], most: int) -> Iterator[str]:
    """The next lines, no more than so many, and no more of them than can be held."""
    held = 0
    for line in islice(lines, most):
        held += len(line)
        yield line
        if held > LONGEST_LINE:
            return


def layout_of(path: str, first: str) -> TextLayout:
    """What the first line tells of the others."""
    plain = path.lower().removesuffix(".gz")
    separator: str | None
    if plain.endswith((".tsv", ".tab")):
        separator = "\t"
    else:
        counts = {mark: first.count(mark) for mark in SEPARATORS}
        separator = max(counts, key=lambda mark: counts[mark])
        if not counts[separator]:
            separator = "," if plain.endswith(".csv") else None
    cells = [cell.strip() for cell in TextLayout(separator, False, ()).cells(path, first, 1)]
    header = not all(is_number(cell) for cell in cells)
    names = tuple(c or f"x{j}" for j, c in enumerate(cells)) if header else unnamed(len(cells))
    return TextLayout(separator, header, names)


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, or none at all."""
    if cell.strip().lower() in MISSING:
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return True


def parse(
    path: str, layout: TextLayout, columns: Sequence[int], lines: Sequence[str], number: int
) -> Batch:
    """Lines, of which the first has this number, as rows (n, D)."""
    try:
        whole = list(columns) == list(range(len(layout.names)))
        if not whole and not even(layout, lines):
            raise ValueError
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # nothing but empty lines
            table = np.loadtxt(
                lines,
                delimiter=layout.separator,
                usecols=None if whole else columns,
                quotechar='"',
                comments=None,
                ndmin=2,
            )
        if table.size and table.shape[1] != len(columns):
            raise ValueError
        return table.reshape(-1, len(columns))
    except ValueError:
        # Missing values, or a mistake: one by one, to tell which.
        rows = [
            _row(path, layout, columns, line, number + i)
            for i, line in enumerate(lines)
            if line.strip()
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, len(columns))


def even(layout: TextLayout, lines: Sequence[str]) -> bool:
    """Whether every line has all columns, as far as can be told at a glance.

    Where only some are read, NumPy does not mind lines that are too long.
    """
    mark, expected = layout.separator, len(layout.names) - 1
    if mark is None:
        return False
    return all('"' not in line and line.count(mark) == expected for line in lines)


def _row(
    path: str, layout: TextLayout, columns: Sequence[int], line: str, number: int
) -> list[float]:
    cells = layout.cells(path, line, number)
    if len(cells) != len(layout.names):
        raise DataError(
            f"{path} line {number} has {len(cells)} columns and the first line {len(layout.names)}"
        )
    return [_value(path, layout.names[j], cells[j], number) for j in columns]


def _value(path: str, name: str, cell: str, number: int) -> float:
    if cell.strip().lower() in MISSING:
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        raise DataError(
            f"{path} line {number}: column {name} holds {cell.strip()!r}, which is no number; "
            "choose the columns to import, or encode it"
        ) from None


def _lines(path: str) -> Generator[str]:
    """All lines, without a byte order mark."""
    try:
        with _opened(path) as file:
            while line := file.readline(LONGEST_LINE):
                if len(line) == LONGEST_LINE and not line.endswith("\n"):
                    raise DataError(
                        f"{path} has a line of {LONGEST_LINE} characters or more: write a row a "
                        "line"
                    )
                yield line
    except (OSError, EOFError) as problem:
        raise DataError(f"{path} cannot be read: {problem}") from problem
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is no text in UTF-8: {problem}") from problem


def _opened(path: str) -> IO[str]:
    if path.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return open(path, encoding="utf-8-sig")
