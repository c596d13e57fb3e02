"""NumPy's own files: .npy mapped, .npz read member by member without unpacking it as a whole."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

import numpy as np

from gmm_dask.chunked.sources import DataError
from gmm_dask.chunked.sources.opening import LONGEST_HEADER, mapped_array
from gmm_dask.chunked.sources.protocol import real_dtype, table_shape
from gmm_dask.data.table_file import Batch, TableFile, chosen, unnamed


def open_npy(path: str, wanted: Sequence[str] | None) -> TableFile:
    """An .npy file of rows × features; fields of a structured array are columns."""
    array = mapped_array(path)
    if array.dtype.names:
        return _fields(path, array, wanted)
    _, features = table_shape(array.shape, path)
    names = unnamed(features)
    columns = chosen(path, names, wanted)
    table = array.reshape(len(array), features)

    def batches(size: int) -> Iterator[Batch]:
        for first in range(0, len(table), size):
            yield np.asarray(table[first : first + size])[:, columns]

    return TableFile(path, tuple(names[j] for j in columns), real_dtype(array.dtype, path), batches)


def _fields(path: str, array: Any, wanted: Sequence[str] | None) -> TableFile:
    names = [array.dtype.names[j] for j in chosen(path, array.dtype.names, wanted)]
    dtype = np.result_type(*(real_dtype(array.dtype[name], f"{path} {name}") for name in names))

    def batches(size: int) -> Iterator[Batch]:
        for first in range(0, len(array), size):
            part = array[first : first + size]
            yield np.column_stack([part[name] for name in names])

    return TableFile(path, tuple(names), dtype, batches)


@dataclass(frozen=True)
class Member:
    """One array of an .npz file, in C order."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape[1:], dtype=int)) * self.dtype.itemsize

    def read(self, stream: IO[bytes], rows: int) -> Batch:
        """The next rows of an opened member."""
        data = stream.read(rows * self.row_bytes)
        return np.frombuffer(data, self.dtype).reshape(rows, -1)


def open_npz(path: str, wanted: Sequence[str] | None) -> TableFile:
    """The only 2-D array of an .npz file, or its 1-D arrays, all of one length, as columns."""
    members = _members(path)
    tables = [member for member in members if len(member.shape) == 2]
    if len(tables) == 1:
        names = unnamed(tables[0].shape[1])
        return _streamed(path, tables, names, wanted)
    columns = [member for member in members if len(member.shape) == 1]
    if tables or len({member.shape for member in columns}) != 1:
        arrays = ", ".join(f"{member.name} {member.shape}" for member in members) or "none"
        raise DataError(
            f"{path} must hold one 2-D array, or 1-D arrays of one length; its arrays are {arrays}"
        )
    if wanted is not None:
        positions = chosen(path, [member.name for member in columns], wanted)
        columns, wanted = [columns[j] for j in positions], None
    return _streamed(path, columns, tuple(member.name for member in columns), wanted)


def _streamed(
    path: str, members: Sequence[Member], names: Sequence[str], wanted: Sequence[str] | None
) -> TableFile:
    columns = chosen(path, names, wanted)
    dtype = np.result_type(*(real_dtype(m.dtype, f"{path} {m.name}") for m in members))
    rows = members[0].shape[0]

    def batches(size: int) -> Iterator[Batch]:
        with ExitStack() as stack:
            opened = stack.enter_context(zipfile.ZipFile(path))
            streams = [stack.enter_context(opened.open(f"{m.name}.npy")) for m in members]
            for stream in streams:
                _header(path, stream)
            for first in range(0, rows, size):
                count = min(size, rows - first)
                parts = [m.read(s, count) for m, s in zip(members, streams, strict=True)]
                yield np.hstack(parts)[:, columns]

    return TableFile(path, tuple(names[j] for j in columns), dtype, batches)


def _members(path: str) -> list[Member]:
    try:
        with zipfile.ZipFile(path) as opened:
            return [_member(path, opened, name) for name in opened.namelist()]
    except (OSError, zipfile.BadZipFile) as problem:
        raise DataError(f"{path} cannot be read: {problem}") from problem


def _member(path: str, opened: zipfile.ZipFile, name: str) -> Member:
    with opened.open(name) as stream:
        shape, fortran, dtype = _header(path, stream)
    if fortran and len(shape) > 1:
        raise DataError(f"{path} {name} is in Fortran order; save np.ascontiguousarray of it")
    return Member(name.removesuffix(".npy"), shape, dtype)


def _header(path: str, stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(stream)
        # NumPy takes room for as long a header as is declared, before it looks at it.
        declared = stream.read(4)
        length = int.from_bytes(declared, "little")
        if length > LONGEST_HEADER:
            raise ValueError(f"its header declares {length} bytes")
        return np.lib.format.read_array_header_2_0(BytesIO(declared + stream.read(length)))
    except Exception as problem:  # whatever NumPy makes of a header that is none
        raise DataError(f"{path} holds what is no array: {problem}") from problem
