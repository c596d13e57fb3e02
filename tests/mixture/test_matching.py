"""Components of two mixtures side by side."""

import numpy as np
import pytest

from gmm_dask.mixture.matching import distances, matched, matches_table
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal
from tests.mixture.problems import FAMILY_NAMES, drawn_mixture


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_components_in_another_order_are_found_again(family):
    mixture, order = drawn_mixture(5, 3, family), np.array([3, 0, 4, 1, 2])
    found = matched(mixture.take(order), mixture)
    assert [one.other for one in found] == order.tolist()
    assert all(one.mean == one.deviation == 0 for one in found)


def test_the_distance_is_bhattacharyyas():
    """Of N(0, 1) and N(2, 4): 4 / 8 / 2.5 + ½ log (2.5 / 2), an integral in closed form."""
    one = Mixture([1], [[0.0]], [[[1.0]]])
    other = Mixture([1], [[2.0]], [[[4.0]]])
    x = np.linspace(-30, 30, 200_001)[:, None]
    overlap = np.exp((one.log_density(x) + other.log_density(x)) / 2).sum() * 3e-4
    assert distances(one, other)[0, 0] == pytest.approx(-np.log(overlap), rel=1e-9)
    assert distances(one, other)[0, 0] == pytest.approx(0.2 + np.log(1.25) / 2)


def test_differences_are_in_units_of_the_other_and_the_surplus_is_left_out():
    means, variances = [[5.2, 0], [50, 50], [0, 0]], [[1.21, 4], [1, 1], [1, 4]]
    found = Mixture([0.5, 0.2, 0.3], means, variances, "diag")
    truth = Mixture([0.6, 0.4], [[0, 0], [5, 0]], [[1, 4], [1, 4]], "diag")
    first, last = matched(found, truth)
    assert (first.component, first.other, last.component, last.other) == (0, 1, 2, 0)
    assert (first.mean, first.deviation) == pytest.approx((0.2, 0.1))
    assert "means 0.200 standard deviations" in str(matches_table((first, last), "Against it"))
    with pytest.raises(Refusal, match="3 and 2 features"):
        matched(drawn_mixture(2, 3), truth)
