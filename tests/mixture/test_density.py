"""Densities of single rows: blocks do not show, extremes stay finite, bad rows are named."""

import numpy as np
import pytest
from scipy.special import logsumexp

from gmm_dask.mixture import density
from tests.mixture.problems import FAMILY_NAMES, drawn_mixture, drawn_rows


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_blocks_do_not_show(family):
    mixture = drawn_mixture(2, 40, family)
    rows = drawn_rows(20_000, mixture)  # three steps
    whole = mixture.log_joint(rows)
    pieces = [mixture.log_joint(part) for part in np.array_split(rows, 7)]
    np.testing.assert_allclose(whole, np.vstack(pieces), rtol=1e-12)


def test_log_sum_exp():
    logs = np.array([[0.0, 0.0], [-1e5, -1e5 - 1], [1e5, -1e5], [-800, -790]])
    np.testing.assert_allclose(density.log_sum_exp(logs), logsumexp(logs, axis=1), rtol=1e-15)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("size", [1e10, 1e100, 1e150, 1e250])
def test_rows_very_far_out(family, size):
    mixture = drawn_mixture(3, 2, family)
    rows = np.array([[size, 0.0], [-size, size]])
    assert np.isfinite(mixture.log_density(rows)).all()
    members = mixture.responsibilities(rows)
    np.testing.assert_allclose(members.sum(axis=1), 1)


def test_the_row_that_is_not_finite_is_named():
    rows = np.zeros((9000, 40))
    rows[8123, 3] = np.nan
    with pytest.raises(ValueError, match="row 8123 is not finite"):
        drawn_mixture(2, 40).log_density(rows)


@pytest.mark.parametrize("dtype", [np.float32, ">f8", np.int16])
def test_rows_of_any_type(dtype):
    mixture = drawn_mixture(2, 3)
    rows = (drawn_rows(50, mixture) * 3).astype(dtype)
    expected = mixture.log_density(rows.astype(np.float64))
    np.testing.assert_array_equal(mixture.log_density(rows), expected)
