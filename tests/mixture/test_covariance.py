"""Covariance families by their formulas, and the floors that keep them positive definite."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.mixture.covariance import FAMILIES, family_named
from gmm_dask.mixture.covariance.positive import (
    certainly_positive,
    conditional_matrices,
    floor_matrices,
    floor_variances,
)
from tests.mixture.problems import FAMILY_NAMES, drawn_mixture

COUNTS = np.array([2.0, 3.0])
SCATTER = np.array([[[2.0, 1.0], [1.0, 4.0]], [[9.0, 0.0], [0.0, 3.0]]])


@pytest.mark.parametrize(
    ("family", "scatter", "expected"),
    [
        ("full", SCATTER, [[[1, 0.5], [0.5, 2]], [[3, 0], [0, 1]]]),
        ("tied", SCATTER.sum(axis=0), [[11 / 5, 1 / 5], [1 / 5, 7 / 5]]),
        ("diag", np.diagonal(SCATTER, axis1=1, axis2=2), [[1, 2], [3, 1]]),
        ("spherical", np.diagonal(SCATTER, axis1=1, axis2=2), [1.5, 2]),
    ],
)
def test_m_steps(family, scatter, expected):
    np.testing.assert_allclose(family_named(family).maximise(COUNTS, scatter), expected)


def test_names():
    assert all(family.name == name for name, family in FAMILIES.items())
    with pytest.raises(ValueError, match="unknown covariance family 'oval'"):
        family_named("oval")


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_sound_covariances_are_not_touched_by_the_floor(family):
    mixture = drawn_mixture(3, 4, family)
    floored = mixture.kind.floor(mixture.covariances, np.full(4, 1e-6))
    assert floored.components == ()
    np.testing.assert_array_equal(floored.covariances, mixture.covariances)


@pytest.mark.parametrize("bytes_", [1, 300, 4_000_000])
def test_however_many_are_looked_at_together_the_same_are_lifted(bytes_, monkeypatch):
    matrices = np.array([np.diag([1.0, 1.0, v]) for v in (1, 1e-9, 2, 3, np.nan, 1e-9, 1)])
    expected, changed = floor_matrices(matrices, np.full(3, 1e-6))
    monkeypatch.setattr("gmm_dask.mixture.covariance.positive.AT_A_TIME", bytes_)
    lifted, found = floor_matrices(matrices, np.full(3, 1e-6))
    assert found == changed == (1, 4, 5)
    np.testing.assert_array_equal(lifted, expected)
    assert matrices[1, 2, 2] == 1e-9, "what came in stays as it was"


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_thin_covariances_are_lifted_to_the_floor(family):
    mixture = drawn_mixture(3, 2, family)
    thin = mixture.covariances.copy()
    thin[... if family == "tied" else 1] *= 1e-12
    floor = np.array([1e-3, 1e-5])
    floored = mixture.kind.floor(thin, floor)
    assert floored.components == ((0,) if family == "tied" else (1,))
    lifted = mixture.spread(floored.covariances)
    variances = lifted if lifted.ndim == 2 else np.diagonal(lifted, axis1=1, axis2=2)
    expected = np.full(2, floor.mean()) if family == "spherical" else floor
    np.testing.assert_allclose(variances[1], expected)
    assert np.isfinite(mixture.kind.factors(floored.covariances)).all()


@settings(deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 10_000),
    d=st.integers(1, 8),
    rank=st.integers(0, 8),
    decades=st.floats(0, 60),
    noise=st.sampled_from([0.0, 1e-16, 1e-10, 1.0, 1e200]),
)
def test_whatever_comes_in_the_floor_makes_it_positive_definite(seed, d, rank, decades, noise):
    random = np.random.default_rng(seed)
    sides = random.normal(size=(d, rank))
    units = 10 ** random.uniform(-decades, decades, size=d)
    garbage = random.normal(size=(d, d)) * noise
    matrix = sides @ sides.T * units * units[:, None] + garbage + garbage.T
    floor = 1e-20 * units**2
    lifted, _ = floor_matrices(matrix[None], floor)
    assert (np.diagonal(lifted[0]) >= floor * (1 - 1e-12)).all()
    factors = family_named("full").factors(lifted)
    assert np.isfinite(factors).all()


def test_nan_is_lifted_too():
    matrices = np.full((1, 2, 2), np.nan)
    lifted, changed = floor_matrices(matrices, np.ones(2))
    assert changed == (0,)
    assert certainly_positive(lifted).all()
    variances, changed = floor_variances(np.full((1, 2), np.nan), np.ones(2))
    assert changed == (0,)
    assert (variances == 1).all()


@pytest.mark.parametrize("smallest", [1.0, 1e-6, 1e-12, 1e-13, 1e-14, 1e-15, 0.0])
def test_certainly_positive_knows_the_smallest_eigenvalue(smallest):
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.normal(size=(6, 6)))[0]
    matrix = (basis * np.array([1, 1, 1, 1, 1, smallest])) @ basis.T
    beside = np.stack([np.eye(6), matrix, np.eye(6)])
    assert certainly_positive(beside).tolist() == [True, smallest > 1.1e-14, True]


def test_conditional_is_the_schur_complement():
    matrices = drawn_mixture(3, 5).matrices
    kept, given = np.array([4, 0]), np.array([1, 3, 2])
    for matrix, found in zip(matrices, conditional_matrices(matrices, kept, given), strict=True):
        across = matrix[np.ix_(kept, given)]
        schur = matrix[np.ix_(kept, kept)] - across @ np.linalg.solve(
            matrix[np.ix_(given, given)], across.T
        )
        np.testing.assert_allclose(found, schur, atol=1e-12)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_component_may_have_as_few_rows_as_the_family_needs(family):
    needed = family_named(family).minimum_count(5)
    assert needed == {"full": 6, "tied": 1, "diag": 2, "spherical": 2}[family]
