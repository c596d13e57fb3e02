"""JSON comes back as it was, and no flipped bit goes unseen."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmm_dask.store.errors import DamagedError
from gmm_dask.store.sealed import from_json, line_of_json, seal, to_json, unseal

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
NAMES = st.text() | st.sampled_from(["$float", "$dict", "$"])
STATES = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def same(one: object, two: object) -> bool:
    """Equal, with types, order and the sign of zero."""
    return repr(one) == repr(two)


@given(STATES)
def test_json_gives_back_what_it_was_given(state: dict[str, object]) -> None:
    assert same(from_json(to_json(state)), state)
    assert same(from_json(line_of_json(state)), state)
    assert line_of_json(state).count(b"\n") == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1, 2.0**1023])
def test_every_float_survives(value: float) -> None:
    assert same(from_json(to_json({"x": [value]})), {"x": [value]})
    assert b"NaN" not in to_json(value)
    assert b"Infinity" not in to_json(value)


def test_numpy_scalars_become_python_ones() -> None:
    assert same(
        from_json(to_json([np.int64(3), np.float32(0.1), np.bool_(True)])),
        [3, float(np.float32(0.1)), True],
    )


@pytest.mark.parametrize("value", [{1: 2}, {"a": {3}}, {"a": [b"x"]}, {"a": np.zeros(2)}])
def test_what_json_would_change_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="value"):
        to_json(value)


def test_every_flipped_bit_of_a_seal_is_found() -> None:
    data = seal({"iteration": 3, "name": "é and ☃", "loss": math.nan})
    assert unseal(data, "key")["name"] == "é and ☃"
    for position in range(8 * len(data)):
        broken = bytearray(data)
        broken[position // 8] ^= 1 << position % 8
        with pytest.raises(DamagedError, match="key is damaged"):
            unseal(bytes(broken), "key")
    for length in range(len(data)):
        with pytest.raises(DamagedError, match="key is damaged"):
            unseal(data[:length], "key")
