"""Where a fit begins: a drawn start, given mixtures, or labels of all rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gmm_dask.chunked.expectation import label_statistics
from gmm_dask.chunked.passes import Engine
from gmm_dask.chunked.profile import Profile
from gmm_dask.chunked.sources import Source
from gmm_dask.configuration import Configuration, ConfigurationError
from gmm_dask.mixture.covariance import family_named
from gmm_dask.mixture.initial import Sample, from_statistics, initial_mixture
from gmm_dask.mixture.iteration import EMState, start
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.restarts import race


@dataclass(frozen=True, eq=False)
class Starts:
    """What a fit was asked to begin with; `state` draws or computes it."""

    configuration: Configuration
    given: tuple[Mixture, ...] = ()
    labels: Source | None = None

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed, beside the configuration."""
        identity: dict[str, Any] = {}
        if self.given:
            identity["initial"] = [digest(mixture) for mixture in self.given]
        if self.labels is not None:
            identity["labels"] = self.labels.fingerprint()
        return identity

    def check(self, features: int) -> None:
        """Refuse, before any pass, a start that does not fit the configuration or the data."""
        wanted = self.configuration.components, features, self.configuration.covariance
        for mixture in self.given:
            found = mixture.components, mixture.features, mixture.family
            if found != wanted:
                raise ConfigurationError(
                    "the initial mixture has {} components, {} features and {} covariances, but "
                    "{}, {} and {} are asked for".format(*found, *wanted)
                )

    def state(self, engine: Engine, known: Profile) -> EMState:
        """The state before the first pass of EM."""
        if self.given:
            return start(self.given)
        configuration = self.configuration
        if self.labels is not None:
            layout = family_named(configuration.covariance).layout
            statistics = label_statistics(engine, self.labels, configuration.components, layout)
            return start([from_statistics(statistics, configuration.covariance)])
        return start(drawn(Sample.of(known.sample.rows, known.sample.weights), configuration))


def drawn(sample: Sample, configuration: Configuration) -> Sequence[Mixture]:
    """Starts drawn from a sample of rows; several are raced on it first."""
    random = np.random.default_rng(configuration.seed)
    settings = configuration.settings()
    starts = [
        initial_mixture(
            sample,
            configuration.components,
            configuration.covariance,
            random,
            configuration.init,
            settings.regularisation,
        )
        for _ in range(configuration.n_init)
    ]
    if len(starts) == 1:
        return starts
    return race(sample, starts, min(configuration.finalists, len(starts)), settings)


def digest(mixture: Mixture) -> str:
    """A hash of every bit of a mixture."""
    content = hashlib.sha256(mixture.family.encode())
    for array in (mixture.weights, mixture.means, mixture.covariances):
        content.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return content.hexdigest()
