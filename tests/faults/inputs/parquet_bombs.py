"""Parquet files by hand: one column of numbers, whose page and footer say what they are told to.

In the compact protocol of Thrift, fields by number: whole numbers, texts, lists and structures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numcodecs import GZip

INT32, INT64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
OF_INT64, GZIPPED, PLAIN, RLE = 2, 2, 0, 3


def parquet_file(
    path: Path, content: bytes, rows: int, page: int | None = None, name: str = "x"
) -> Path:
    """A file of these numbers of eight bytes, and what they become as its page says it."""
    packed = bytes(GZip().encode(content))
    size = len(content) if page is None else page
    told = {1: rows, 2: PLAIN, 3: RLE, 4: RLE}
    header = _structure({1: 0, 2: size, 3: len(packed), 5: told})
    stored = len(header) + len(packed)
    column = {
        1: OF_INT64, 2: [PLAIN], 3: [name], 4: GZIPPED,
        5: _Long(rows), 6: _Long(len(header) + size), 7: _Long(stored), 9: _Long(4),
    }  # fmt: skip
    group = {1: [{2: _Long(4), 3: column}], 2: _Long(size), 3: _Long(rows)}
    schema = [{4: "root", 5: 1}, {1: OF_INT64, 3: 0, 4: name}]
    footer = _structure({1: 1, 2: schema, 3: _Long(rows), 4: [group]})
    end = len(footer).to_bytes(4, "little") + b"PAR1"
    path.write_bytes(b"PAR1" + header + packed + footer + end)
    return path


class _Long(int):
    """A whole number of 64 bits."""


def _structure(fields: dict[int, Any]) -> bytes:
    made, last = b"", 0
    for number, value in fields.items():
        made += bytes([number - last << 4 | _kind(value)]) + _value(value)
        last = number
    return made + b"\0"


def _kind(value: Any) -> int:
    kinds = {_Long: INT64, int: INT32, str: BINARY, list: LIST, dict: STRUCT}
    return kinds[type(value)]


def _value(value: Any) -> bytes:
    if isinstance(value, int):
        return _varint(2 * value)
    if isinstance(value, str):
        return _varint(len(value)) + value.encode()
    if isinstance(value, dict):
        return _structure(value)
    return bytes([len(value) << 4 | _kind(value[0])]) + b"".join(map(_value, value))


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])
