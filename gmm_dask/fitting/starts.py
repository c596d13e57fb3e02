"""Where a fit begins: a drawn start, given mixtures, or labels of all rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gmm_dask.chunked.engines.protocol import Engine
from gmm_dask.chunked.expectation import label_statistics
from gmm_dask.chunked.profile import Profile
from gmm_dask.chunked.rows import Rows
from gmm_dask.chunked.sources import Source
from gmm_dask.fitting.orientation import check_upright
from gmm_dask.fitting.result import Fit, concluded
from gmm_dask.mixture.arrays import frozen
from gmm_dask.mixture.covariance import family_named
from gmm_dask.mixture.iteration import EMSettings, EMState, start
from gmm_dask.mixture.noise import Noise, asked
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.starts import MOVED
from gmm_dask.mixture.starts.dense_rows import dense_rows
from gmm_dask.mixture.starts.initial import (
    Sample,
    from_parameters,
    from_statistics,
    initial_mixture,
)
from gmm_dask.mixture.starts.moves import improved
from gmm_dask.mixture.starts.race import race
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.variational import check_prior
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.mixture import Configuration

LEAST_SHARE = 1e-9
"""Less of the rows is rounding."""


@dataclass(frozen=True, eq=False)
class GivenParameters:
    """Some of a start's parameters; the others follow from a sample of the rows."""

    weights: ArrayLike | None = None
    means: ArrayLike | None = None
    precisions: ArrayLike | None = None


@dataclass(frozen=True, eq=False)
class Starts:
    """The plan of fitting one mixture: its configuration, and what it is to begin with."""

    configuration: Configuration
    given: tuple[Mixture, ...] = ()
    parameters: GivenParameters | None = None
    labels: Source | None = None

    @classmethod
    def of(
        cls,
        configuration: Configuration,
        initial: Mixture | Sequence[Mixture] | GivenParameters | None,
        labels: Source | None,
    ) -> Starts:
        """The plan for what a person may give as a start."""
        if initial is not None and labels is not None:
            raise ConfigurationError("give initial or labels, not both: each is a whole start")
        if isinstance(initial, GivenParameters):
            return cls(configuration, parameters=initial)
        given = (initial,) if isinstance(initial, Mixture) else tuple(initial or ())
        return cls(configuration, given, labels=labels)

    @property
    def seed(self) -> int:
        """Of the sample and of the drawn starts."""
        return self.configuration.seed

    @property
    def sample_rows(self) -> int:
        """How many rows to draw in the profile pass."""
        return self.configuration.sample_rows

    def settings(self) -> EMSettings:
        """How to iterate."""
        return self.configuration.settings()

    def identity(self) -> dict[str, Any]:
        """The configuration, and digests of what was given beside it."""
        identity = self.configuration.identity()
        if self.given:
            identity["initial"] = [digest(mixture) for mixture in self.given]
        if self.parameters is not None:
            identity["parameters"] = {
                name: None if values is None else np.asarray(values, np.float64).tolist()
                for name, values in vars(self.parameters).items()
            }
        if self.labels is not None:
            identity["labels"] = self.labels.fingerprint()
        return identity

    def check(self, rows: Rows) -> None:
        """Refuse, before any pass, a start that does not fit the configuration or the data."""
        features = rows.shape[1]
        wanted = self.configuration.components, features, self.configuration.covariance
        check_upright(rows, [self.configuration])
        check_prior(self.settings().regularisation.prior, features, family_named(wanted[2]))
        if not self.given and self.labels is None:
            if self.parameters is None or self.parameters.means is None:
                self.configuration.check_drawn()
            self.configuration.check_rows(rows.shape[0])
        if self.labels is not None and self.labels.shape[0] != rows.source.shape[0]:
            raise ConfigurationError(
                f"{self.labels.address} has {self.labels.shape[0]} labels and "
                f"{rows.source.address} has {rows.source.shape[0]} rows: one label per stored row"
            )
        for mixture in self.given:
            actual = mixture.components, mixture.features, mixture.family
            if actual != wanted:
                raise ConfigurationError(
                    "the initial mixture has {} components, {} features and {} covariances, but "
                    "{}, {} and {} are asked for".format(*actual, *wanted)
                )
            if mixture.noise is not None and self.configuration.noise is None:
                raise ConfigurationError(
                    "the initial mixture has noise, and none is asked for: ask for noise, or "
                    "begin with its gaussians alone"
                )

    def begin(self, engine: Engine, known: Profile) -> EMState:
        """The state before the first pass of EM."""
        configuration, noise = self.configuration, noise_of(self.configuration, engine.rows, known)
        if self.given:
            # Made anew: their factors have the bits that one thread of BLAS gives, as on workers.
            given = [beside(copy(mixture), noise) for mixture in self.given]
            for mixture in self.given:
                mixture.forget()
            return start(given)
        if self.labels is not None:
            layout = family_named(configuration.covariance).layout
            statistics = label_statistics(
                engine,
                self.labels,
                configuration.components,
                layout,
                noise=noise is not None,
            )
            settings = self.settings().regularisation
            begun = from_statistics(statistics, configuration.covariance, settings)
            return start([beside(begun, weighed(noise, statistics))])
        sample = Sample.of(known.sample.rows, known.sample.represented)
        if self.parameters is not None:
            dense = dense_rows(sample, noise, configuration.components)
            return start([beside(completed(dense, configuration, self.parameters), noise)])
        return start(drawn(sample, configuration, noise))

    def revise(self, state: EMState) -> EMState:
        """Nothing to say."""
        return state

    def conclude(self, state: EMState, rows: Rows, history: Sequence[dict[str, Any]]) -> Fit:
        """The likeliest candidate."""
        return concluded(state, self.settings(), rows.feature_names, history)


def completed(sample: Sample, configuration: Configuration, given: GivenParameters) -> Mixture:
    """A start from some of its parameters."""
    return from_parameters(
        sample,
        configuration.components,
        configuration.covariance,
        np.random.default_rng(configuration.seed),
        weights=given.weights,
        means=given.means,
        precisions=given.precisions,
        method=configuration.init,
        regularisation=configuration.settings().regularisation,
    )


def noise_of(configuration: Configuration, rows: Rows, known: Profile) -> Noise | None:
    """The noise that a fit to these rows begins with, where it was asked for."""
    if configuration.noise is None:
        return None
    box = frozen([known.minimum, known.maximum])
    return asked(configuration.noise, box, rows.feature_names)


def weighed(noise: Noise | None, statistics: SufficientStatistics) -> Noise | None:
    """Noise that weighs the rows that labels say are noise, where there are some."""
    share = 1 - float(statistics.counts.sum()) / statistics.weight
    return noise if noise is None or share < LEAST_SHARE else noise.weighing(min(share, 0.999))


def beside(mixture: Mixture, noise: Noise | None) -> Mixture:
    """A start with the noise of a fit, of the weight that its own has, where it has some."""
    if noise is None:
        return mixture
    own = mixture.noise
    return mixture.beside(noise if own is None else noise.weighing(own.weight))


def drawn(
    sample: Sample, configuration: Configuration, noise: Noise | None = None
) -> Sequence[Mixture]:
    """Starts drawn from a sample of rows; several are raced on it first, and the best is improved
    where its method says so."""
    dense = dense_rows(sample, noise, configuration.components)
    starts: Sequence[Mixture] = drawn_starts(dense, configuration, noise)
    if len(starts) == 1 and configuration.init not in MOVED:
        return starts
    settings = configuration.settings().for_rows(sample.rows, sample.weight)
    if len(starts) > 1:
        starts = race(sample, starts, min(configuration.finalists, len(starts)), settings)
    if configuration.init in MOVED:
        starts = [improved(sample, starts[0], settings), *starts[1:]]
    return starts


def drawn_starts(
    sample: Sample, configuration: Configuration, noise: Noise | None = None
) -> list[Mixture]:
    """All that are drawn from a sample of rows, of dense ones beside noise, before any race."""
    random = np.random.default_rng(configuration.seed)
    starts = (
        initial_mixture(
            sample,
            configuration.components,
            configuration.covariance,
            random,
            configuration.init,
            configuration.settings().regularisation,
        )
        for _ in range(configuration.n_init)
    )
    return [beside(one, noise) for one in starts]


def digest(mixture: Mixture) -> str:
    """A hash of every bit of a mixture."""
    content = hashlib.sha256(mixture.family.encode())
    for array in (mixture.weights, mixture.means, mixture.covariances, *mixture.noise_told):
        content.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return content.hexdigest()
