"""Arrays come back bit for bit; what declares more than it holds is refused unread."""

import io
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from gmm_dask.store.arrays import pack_arrays, unpack_arrays
from gmm_dask.store.errors import DamagedError

DTYPES = (
    st_numpy.floating_dtypes(endianness="?")
    | st_numpy.integer_dtypes(endianness="?")
    | st_numpy.complex_number_dtypes()
    | st_numpy.boolean_dtypes()
    | st_numpy.unicode_string_dtypes(max_len=5)
    | st_numpy.datetime64_dtypes()
)
ARRAYS = st_numpy.arrays(DTYPES, st_numpy.array_shapes(min_dims=0, max_side=4, min_side=0))
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,20}", fullmatch=True)


def same_bits(one: NDArray[Any], two: NDArray[Any]) -> bool:
    return (one.dtype, one.shape, one.tobytes()) == (two.dtype, two.shape, two.tobytes())


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, ARRAYS, max_size=4))
def test_packing_then_unpacking_is_identity(arrays: dict[str, NDArray[Any]]) -> None:
    packed = pack_arrays(arrays)
    unpacked = unpack_arrays(packed, "key")
    assert list(unpacked) == list(arrays)
    assert all(same_bits(unpacked[name], arrays[name]) for name in arrays)
    assert packed == pack_arrays(unpacked)


def test_order_in_memory_survives_and_arrays_are_writable() -> None:
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    unpacked = unpack_arrays(pack_arrays({"a": fortran, "view": fortran[:, ::2]}), "key")
    assert unpacked["a"].flags.f_contiguous
    assert same_bits(unpacked["view"], fortran[:, ::2])
    unpacked["a"][0, 0] = 9.0


def test_numpy_reads_it_too() -> None:
    with np.load(io.BytesIO(pack_arrays({"a": np.arange(3)}))) as archive:
        assert archive["a"].tolist() == [0, 1, 2]


def test_objects_are_refused_both_ways() -> None:
    objects = np.array([{}, None], dtype=object)
    with pytest.raises(TypeError, match="'a' holds Python objects"):
        pack_arrays({"a": objects})
    buffer = io.BytesIO()
    np.savez(buffer, a=objects)
    with pytest.raises(DamagedError, match="key is damaged"):
        unpack_arrays(buffer.getvalue(), "key")


@pytest.mark.parametrize("name", ["", "/a", "a b", "a\0b", "../a"])
def test_improper_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        pack_arrays({name: np.zeros(1)})


def test_declared_size_is_checked_before_anything_is_allocated() -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (4000000000, 1000), }"
    header = header.ljust(117) + b"\n"
    bomb = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", bomb)
    tracemalloc.start()
    with pytest.raises(DamagedError, match="declares float64 of shape"):
        unpack_arrays(buffer.getvalue(), "key")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_compressed_members_are_refused() -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.zeros(1000))
    with pytest.raises(DamagedError, match="is compressed"):
        unpack_arrays(buffer.getvalue(), "key")
