"""Named arrays as one uncompressed npz file, bit for bit, without pickle in either direction.

Written by hand rather than by `numpy.savez`: same arrays, same bytes; and declared shapes are
held against the bytes that are there before anything is allocated.
"""

import io
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike, NDArray

from gmm_dask.store.errors import DamagedError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


def pack_arrays(arrays: Mapping[str, ArrayLike]) -> bytes:
    """All arrays in one file that `numpy.load` reads as well."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name for an array")
            _write_npy(archive, name, np.asarray(array))
    return buffer.getvalue()


def unpack_arrays(data: bytes, key: str) -> dict[str, NDArray[Any]]:
    """The arrays again, writable and in their order; DamagedError names `key`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _refuse_bombs(members, len(data))
            return {
                member.filename.removesuffix(".npy"): _from_npy(archive, member)
                for member in members
            }
    except Exception as error:  # whatever zipfile and NumPy make of bytes that are neither
        raise DamagedError(f"{key} is damaged: {error}") from error


def _write_npy(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    if array.dtype.hasobject:
        raise TypeError(f"array {name!r} holds Python objects, which only pickle could write")
    header, member = io.BytesIO(), zipfile.ZipInfo(f"{name}.npy")
    npy.write_array_header_1_0(header, npy.header_data_from_array_1_0(array))
    member.file_size = header.tell() + array.nbytes  # by which room is left for what follows
    with archive.open(member, "w") as file:
        npy.write_array(file, array, allow_pickle=False)


def _refuse_bombs(members: Sequence[zipfile.ZipInfo], present: int) -> None:
    """Nothing is read that would be more than the file itself."""
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{member.filename} is compressed; this format never is")
    if sum(member.file_size for member in members) > present:
        raise ValueError("its members declare more bytes than it has")


def _from_npy(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    stored = io.BytesIO(archive.read(member))
    shape, dtype = _declared(stored)
    declared, present = math.prod(shape) * dtype.itemsize, len(stored.getvalue()) - stored.tell()
    if dtype.hasobject or declared != present:
        raise ValueError(
            f"{member.filename} declares {dtype} of shape {shape}, {declared} bytes, "
            f"and holds {present}"
        )
    stored.seek(0)
    array: NDArray[Any] = npy.read_array(stored, allow_pickle=False)
    return array


def _declared(stored: io.BytesIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(stored)
    if version not in readers:
        raise ValueError(f"npy version {version} is not known")
    shape, _, dtype = readers[version](stored)
    return shape, dtype
