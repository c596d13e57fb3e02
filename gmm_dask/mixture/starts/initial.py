"""Starting mixtures: from a sample of rows, from labels, from given parameters.

Every start is normalised and no component of it is degenerate; the random generator is always an
argument.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from gmm_dask.mixture.arrays import Array, as_rows, as_weights
from gmm_dask.mixture.covariance import family_named
from gmm_dask.mixture.maximisation import maximise
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.starts import METHODS
from gmm_dask.mixture.starts.seeding import nearest_centre
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.sweep import sweep_responsibilities


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows (n, D) that stand for all rows, with their weights (n,), as float64."""

    rows: Array
    weights: Array

    @classmethod
    def of(cls, rows: ArrayLike, weights: ArrayLike | None = None) -> Sample:
        """A sample of these rows; those of weight 0 are left out."""
        values = as_rows(rows).astype(np.float64)
        given = as_weights(weights, len(values))
        if given is None:
            return cls(values, np.ones(len(values)))
        return cls(values[given > 0], given[given > 0])

    @property
    def weight(self) -> float:
        """That of all rows that these stand for."""
        return float(self.weights.sum())

    def standardised(self) -> Array:
        """Rows in units of each feature's standard deviation: nearness must not depend on units."""
        centred = self.rows - self._average(self.rows)
        deviation = np.sqrt(self._average(centred**2))
        return centred / np.where(deviation > 0, deviation, 1)

    def _average(self, values: Array) -> Array:
        """What np.average gives, without its checks."""
        weights = self.weights[:, None]
        average: Array = (values * weights).sum(axis=0) / weights.sum(axis=0)
        return average


def initial_mixture(
    sample: Sample,
    components: int,
    family: str,
    random: np.random.Generator,
    method: str = "kmeans",
    regularisation: Regularisation = Regularisation(),
) -> Mixture:
    """A starting mixture from a sample of rows."""
    if not 1 <= components <= len(sample.rows):
        raise Refusal(
            f"{components} components need at least as many rows with a weight; "
            f"there are {len(sample.rows)}"
        )
    posteriors = METHODS.named(method)(sample.standardised(), sample.weights, components, random)
    return from_responsibilities(sample, posteriors, family, regularisation)


def from_responsibilities(
    sample: Sample, posteriors: Array, family: str, regularisation: Regularisation
) -> Mixture:
    """The M-step of given responsibilities (n, K) of the sample's rows."""
    layout = family_named(family).layout
    statistics = sweep_responsibilities(
        sample.rows, lambda part: posteriors[part], posteriors.shape[1], layout, sample.weights
    )
    return from_statistics(statistics, family, regularisation)


def from_statistics(
    statistics: SufficientStatistics,
    family: str,
    regularisation: Regularisation = Regularisation(),
) -> Mixture:
    """The start that label statistics give: of all rows, or of a sample.

    A component with too few rows borrows D + 1 rows' worth of the average component.
    """
    settings = replace(regularisation, degenerate="floor")
    return maximise(lent(statistics, family), family, settings).mixture


def lent(statistics: SufficientStatistics, family: str) -> SufficientStatistics:
    """Statistics in which every component has the rows that its covariance needs."""
    kind = family_named(family)
    features = statistics.means.shape[1]
    unit = statistics.weight / statistics.rows
    needed = kind.minimum_count(features) * unit
    poor = statistics.counts < needed
    if not poor.any():
        return statistics
    counts = statistics.counts + needed * poor
    means = np.where((statistics.counts > 0)[:, None], statistics.means, statistics.mean())
    borrowed: Array = np.where(poor, needed, 0.0)
    scatter = kind.layout.lent(
        statistics.scatter, borrowed, float(statistics.counts.sum()), statistics.variance()
    )
    return replace(statistics, counts=counts, means=means, scatter=scatter)


def from_parameters(
    sample: Sample,
    components: int,
    family: str,
    random: np.random.Generator,
    *,
    weights: ArrayLike | None = None,
    means: ArrayLike | None = None,
    precisions: ArrayLike | None = None,
    method: str = "kmeans",
    regularisation: Regularisation = Regularisation(),
) -> Mixture:
    """A start with these parameters given; the others follow from the sample."""
    if means is None:
        base = initial_mixture(sample, components, family, random, method, regularisation)
        means = base.means
    else:
        means = checked("means", means, (components, sample.rows.shape[1]))
        base = _around(sample, means, family, regularisation)
    covariances = base.covariances
    if precisions is not None:
        kind = family_named(family)
        given = checked("precisions", precisions, kind.shape(components, sample.rows.shape[1]))
        covariances = kind.from_factors(kind.factors(given))  # the inverse, in any family
    if weights is not None:
        weights = checked("weights", weights, (components,))
        if (weights < 0).any() or abs(weights.sum() - 1) > 1e-6:
            raise Refusal(f"weights must not be negative and sum to 1, these are {weights}")
        weights = np.maximum(weights, np.finfo(np.float64).eps)
        weights = weights / weights.sum()
    return Mixture(base.weights if weights is None else weights, means, covariances, family)


def _around(sample: Sample, means: Array, family: str, regularisation: Regularisation) -> Mixture:
    stacked = Sample(
        np.vstack([sample.rows, means]),
        np.concatenate([sample.weights, np.zeros(len(means))]),
    ).standardised()
    posteriors = nearest_centre(stacked[: len(sample.rows)], stacked[len(sample.rows) :])
    return from_responsibilities(sample, posteriors, family, regularisation)


def checked(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Given parameters as a float64 array of this shape, all of them finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise Refusal(f"the given {name} should have shape {shape}, but have {array.shape}")
    if not np.isfinite(array).all():
        raise Refusal(f"the given {name} must be finite numbers")
    return array
