"""How arguments become arrays."""

import numpy as np
import pytest

from gmm_dask.mixture.arrays import as_rows, as_weights, frozen


def test_frozen_copies_what_could_change():
    source = np.zeros(3)
    array = frozen(source)
    source[0] = 1
    assert not array.any()
    assert not array.flags.writeable
    assert frozen(array) is array


def test_rows_are_views():
    source = np.zeros((4, 2), np.float32)
    assert as_rows(source, 2) is source
    assert as_rows(np.zeros(4)).shape == (4, 1)
    assert as_rows([[1, 2], [3, 4]]).dtype.kind == "i"


@pytest.mark.parametrize("bad", [np.zeros((2, 2), bool), np.zeros((2, 2), complex), [["a"]]])
def test_rows_must_be_real_numbers(bad):
    with pytest.raises(ValueError, match="real numbers"):
        as_rows(bad)


def test_weights():
    assert as_weights(None, 3) is None
    assert as_weights([1, 2, 3], 3).dtype == np.float64
    for bad in ([1, 2], [[1], [2], [3]], [1, 2, np.inf], [0, 0, -1e-300]):
        with pytest.raises(ValueError, match="weights"):
            as_weights(bad, 3)
