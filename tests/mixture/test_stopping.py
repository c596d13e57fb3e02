"""Every fit ends with a named reason, and never by mistake."""

import numpy as np
import pytest

from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.stopping import Evaluated, Stopping, parameter_change
from tests.mixture.problems import FAMILY_NAMES, drawn_mixture

MIXTURE = Mixture([1.0], [[0.0]], [[[1.0]]])
OFF = {"tol": None, "relative_tol": None, "parameter_tol": None}


def at(value, iteration=1, mixture=MIXTURE):
    return Evaluated(mixture, value, iteration)


@pytest.mark.parametrize(
    ("name", "threshold", "near", "far"),
    [
        ("tol", 0.1, at(-1000.05), at(-1000.2)),
        ("relative_tol", 0.1, at(-1050), at(-1200)),
        (
            "parameter_tol",
            0.1,
            at(-2000, mixture=Mixture([1.0], [[0.05]], [[[1.0]]])),
            at(-1000, mixture=Mixture([1.0], [[0.2]], [[[1.0]]])),
        ),
    ],
)
def test_each_tolerance_by_itself(name, threshold, near, far):
    stopping = Stopping(**{**OFF, name: threshold})
    assert stopping.reason(at(-1000.0, 0), near).startswith("converged: ")
    assert stopping.reason(at(-1000.0, 0), far) is None


def test_nothing_converges_without_a_predecessor():
    assert Stopping(tol=1e9, relative_tol=1e9, parameter_tol=1e9).reason(None, at(-1, 0)) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("previous", [-1.0, np.nan, np.inf])
def test_a_likelihood_that_is_not_finite_never_converged(value, previous):
    stopping = Stopping(tol=1e300, relative_tol=1e300, parameter_tol=1e300)
    assert stopping.reason(at(previous, 0), at(value)).startswith("failed: ")


def test_after_one_that_is_not_finite_nothing_converged_either():
    assert Stopping(tol=1e300).reason(at(np.nan, 0), at(-1.0)) is None


def test_the_cap_on_iterations():
    stopping = Stopping(max_iter=7, tol=0)
    assert stopping.reason(at(-1, 5), at(-1, 6)) is None
    assert stopping.reason(at(-1, 6), at(-1, 7)) == "max_iter: 7 iterations are done"


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_parameter_change_does_not_depend_on_units(family):
    a, b = drawn_mixture(3, 2, family, 1), drawn_mixture(3, 2, family, 2)
    scaled = [
        Mixture(m.weights, m.means * 2.0**300, m.covariances * 2.0**600, family) for m in (a, b)
    ]
    assert parameter_change(a, b) > 0.1
    assert parameter_change(*scaled) == pytest.approx(parameter_change(a, b), rel=1e-12)
    assert parameter_change(a, a) == 0
    assert parameter_change(a, drawn_mixture(2, 2, family)) == np.inf


@pytest.mark.parametrize(
    "wrong",
    [{"tol": -1}, {"relative_tol": float("nan")}, {"parameter_tol": -1e-9}, {"max_iter": -1}],
)
def test_wrong_thresholds_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Stopping(**wrong)
