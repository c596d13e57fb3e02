"""Rows and mixtures to test with."""

import numpy as np

from gmm_dask.mixture.covariance import FAMILIES
from gmm_dask.mixture.iteration import EMSettings
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.regularisation import DegeneratePolicy, Regularisation
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.stopping import Stopping
from gmm_dask.mixture.sweep import Statistics, StatisticsOf, sweep

FAMILY_NAMES = ("full", "tied", "diag", "spherical")
"""Those of every shape in which covariances, statistics and factors are kept."""
EVERY_FAMILY = tuple(FAMILIES)


def drawn_mixture(
    k: int, d: int, family: str = "full", seed: int = 0, spread: float = 2.0
) -> Mixture:
    """Overlapping components of unit size with correlations."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=(k, d, d + 3))
    matrices = noise @ noise.transpose(0, 2, 1) / (d + 3) + 0.2 * np.eye(d)
    variances = np.diagonal(matrices, axis1=1, axis2=2)
    shapes = {"full": matrices, "tied": matrices[0], "spherical": matrices[:, 0, 0]}
    covariances = variances if FAMILIES[family].layout.diagonal else matrices
    if family in shapes:
        covariances = shapes[family]
    elif family != "diag":
        covariances = FAMILIES[family].maximise(np.ones(k), covariances)
    weights = random.dirichlet(np.full(k, 5.0))
    return Mixture(weights, random.normal(size=(k, d)) * spread, covariances, family)


def drawn_rows(n: int, mixture: Mixture, seed: int = 1) -> np.ndarray:
    """Rows from the mixture, a little off it."""
    random = np.random.default_rng(seed)
    rows = mixture.sample(n, random)[0]
    return 1.2 * rows + 0.1 * random.standard_t(5, size=rows.shape)


def over(*blocks: np.ndarray, weights: list[np.ndarray] | None = None) -> StatisticsOf:
    """The seam over blocks in memory: a fold in the order given."""

    def statistics_of(mixtures, kernels):
        total = None
        for i, block in enumerate(blocks):
            found = sweep(block, mixtures, None if weights is None else weights[i], kernels)
            total = (
                found if total is None else tuple(map(SufficientStatistics.__add__, total, found))
            )
        return total

    return statistics_of


def added(one: Statistics, other: Statistics) -> Statistics:
    """Statistics of two blocks, mixture by mixture."""
    return tuple(a + b for a, b in zip(one, other, strict=True))


def plain(
    iterations: int,
    reg_covar: float = 0.0,
    degenerate: DegeneratePolicy = "floor",
    tol: float | None = None,
) -> EMSettings:
    """Plain EM for so many iterations."""
    return EMSettings(
        Stopping(tol=tol, max_iter=iterations), Regularisation(reg_covar, degenerate=degenerate)
    )


def assert_alike(
    a: SufficientStatistics, b: SufficientStatistics, tolerance: float = 1e-10
) -> None:
    """Statistics of the same rows: counts, means and scatter relative to the data's own spread."""
    assert a.layout == b.layout
    assert a.rows == b.rows
    deviations = np.sqrt(np.abs(b.variance()))
    deviations = np.where(deviations > 0, deviations, 1.0)  # of a single row there is no spread
    largest = b.counts.max()
    np.testing.assert_allclose(a.counts, b.counts, rtol=tolerance, atol=tolerance * largest)
    means = (a.counts[:, None] * ((a.means - b.means) + (a.remainders - b.remainders))) / deviations
    np.testing.assert_allclose(means, 0, atol=tolerance * largest)
    units = deviations**2 if a.layout.diagonal else deviations * deviations[:, None]
    np.testing.assert_allclose((a.scatter - b.scatter) / units, 0, atol=tolerance * largest)
    size = tolerance * (abs(b.log_likelihood) + b.weight)
    for name in ("log_likelihood", "entropy", "log_max", "weight"):
        assert abs(getattr(a, name) - getattr(b, name)) <= size, name


def assert_same_bits(a: object, b: object) -> None:
    """Equal to the last bit, field by field."""
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same_bits(one, other)
    elif hasattr(a, "__dataclass_fields__"):
        for name in a.__dataclass_fields__:
            assert_same_bits(getattr(a, name), getattr(b, name))
    else:
        assert a == b or np.isnan([a, b]).all()
