"""What the pages of a Parquet file become when they are unpacked, read from their headers alone.

A page says how large it becomes, and is believed: a few kilobytes may say two gigabytes, in every
column. Numbers cannot take more than so many bytes each, and the footer says how many there are.
Knows the compact protocol of Thrift so far as to find the end of a header.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from gmm_dask.chunked.sources import DataError

LARGEST_FOOTER = 2**26
LARGEST_PAGE, LARGEST_PAGES = 2**29, 2**31
"""Bytes of a page, and of the largest of each column together: one of each is there at a time."""
WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
WIDEST = 40
"""Bytes of a decimal that is stored as a string of bytes."""
LITTLE, HEADERS = 2**16, (2**12, 2**16)
"""What pages may take beside their numbers; how much is read to find a header in."""
MAGIC = b"PAR1"


def check_footer(path: str, file: BinaryIO) -> None:
    """The footer is parsed as a whole, before anything is known of it."""
    file.seek(0, 2)
    file.seek(max(0, file.tell() - 8))
    end = file.read()
    size = int.from_bytes(end[:4], "little")
    if end[4:] == MAGIC and size > LARGEST_FOOTER:
        raise _swollen(path, "its footer takes", size, LARGEST_FOOTER)


def check_pages(path: str, file: BinaryIO, read: Any, names: Sequence[str]) -> None:
    """Refuse pages of these columns that become more than their numbers could take; `read` is
    pyarrow's ParquetFile."""
    metadata = read.metadata
    schema = [metadata.schema.column(j) for j in range(metadata.num_columns)]
    wanted = [j for j, column in enumerate(schema) if column.path in names]
    for i in range(metadata.num_row_groups):
        group, together = metadata.row_group(i), 0
        for j in wanted:
            chunk = group.column(j)
            width = WIDTHS.get(chunk.physical_type, max(schema[j].length, WIDEST))
            most = 2 * group.num_rows * (width + 1) + LITTLE  # as a dictionary, and once more
            sizes = list(_sizes(path, file, chunk))
            where = f"column {schema[j].path} of row group {i} becomes"
            if (size := sum(sizes)) > most:
                raise _swollen(path, where, size, most)
            if (size := max(sizes, default=0)) > LARGEST_PAGE:
                raise _swollen(path, f"a page in {where}", size, LARGEST_PAGE)
            together += size
        if together > LARGEST_PAGES:
            raise _swollen(path, f"pages of row group {i} become", together, LARGEST_PAGES)


def _swollen(path: str, what: str, size: int, most: int) -> DataError:
    return DataError(f"{path}: {what} {size} bytes, and at most {most} are read: write it again")


def _sizes(path: str, file: BinaryIO, chunk: Any) -> Iterator[int]:
    """Of each page of a column in a row group, as its header says."""
    at = chunk.data_page_offset
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        at = min(at, chunk.dictionary_page_offset)
    end = at + chunk.total_compressed_size
    while at < end:
        length, unpacked, packed = _header(path, file, at)
        yield unpacked
        at += length + packed


def _header(path: str, file: BinaryIO, at: int) -> tuple[int, int, int]:
    for size in HEADERS:
        file.seek(at)
        header = Header(file.read(size))
        try:
            unpacked, packed = header.sizes()
        except IndexError:
            continue
        if unpacked < 0 or packed < 0:
            break
        return header.at, unpacked, packed
    raise DataError(f"{path} cannot be read: there is no header of a page at byte {at}")


class Header:
    """A page's header in the compact protocol of Thrift; IndexError where it goes on."""

    STOP, TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 12
    NUMBERS = 4, 5, 6
    DEEPEST = 8

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def sizes(self) -> tuple[int, int]:
        """Of the page unpacked and packed: its fields 2 and 3."""
        found = {2: -1, 3: -1}
        for number, kind in self._fields():
            if number in found and kind in self.NUMBERS:
                value = self._varint()
                found[number] = value >> 1 ^ -(value & 1)
            else:
                self._skip(kind, 0)
        return found[2], found[3]

    def _fields(self) -> Iterator[tuple[int, int]]:
        number = 0
        while (head := self._byte()) & 15 != self.STOP:
            if head >> 4:
                number += head >> 4
            else:
                number = self._varint() >> 1
            yield number, head & 15

    def _skip(self, kind: int, depth: int) -> None:
        if depth > self.DEEPEST:
            raise IndexError
        if kind in self.NUMBERS:
            self._varint()
        elif kind in (self.BYTE, self.DOUBLE):
            self.at += 8 if kind == self.DOUBLE else 1
        elif kind == self.BINARY:
            length = self._varint()
            self.at += length
        elif kind == self.STRUCT:
            for _, inner in self._fields():
                self._skip(inner, depth + 1)
        elif kind in (self.LIST, self.SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._varint()
            for _ in range(count):
                self._skip(max(head & 15, self.BYTE), depth + 1)
        elif kind not in (self.TRUE, self.FALSE):
            raise IndexError

    def _varint(self) -> int:
        value, shift = 0, 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def _byte(self) -> int:
        byte = self.data[self.at]
        self.at += 1
        return byte
