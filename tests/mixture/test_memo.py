"""What passes remember of a mixture goes with it: a large one takes a hundred megabytes."""

import weakref

import numpy as np
import pytest

from gmm_dask import Mixture
from gmm_dask.mixture.iteration import EMSettings, iterate, start
from gmm_dask.mixture.sweep import sweep


def drawn(features, family="full"):
    draw = np.random.default_rng(features)
    means = 4 * draw.normal(size=(3, features))
    covariances = {
        "full": np.broadcast_to(np.eye(features), (3, features, features)),
        "tied": np.eye(features),
        "diag": np.ones((3, features)),
        "spherical": np.ones(3),
    }[family]
    return Mixture(np.full(3, 1 / 3), means, covariances, family)


@pytest.mark.parametrize("kernel", ["fused", "quadratic", "centred"])
@pytest.mark.parametrize("family", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("features", [2, 48])
def test_a_pass_leaves_nothing_of_its_mixtures(kernel, family, features):
    mixtures = [drawn(features, family), drawn(features, family)]
    sweep(np.zeros((10, features)), mixtures, kernels=[kernel] * 2)
    gone = [weakref.ref(mixture) for mixture in mixtures]
    del mixtures
    assert [mixture() for mixture in gone] == [None, None]


def test_a_fit_holds_a_few_mixtures_however_many_there_were():
    rows = np.random.default_rng(0).normal(size=(500, 3))
    seen = []

    def statistics_of(mixtures, kernels):
        seen.extend(map(weakref.ref, mixtures))
        return sweep(rows, mixtures, kernels=kernels)

    settings = EMSettings(accelerate="auto")
    for state in iterate(statistics_of, start([drawn(3)]), settings):
        alive = sum(mixture() is not None for mixture in seen)
        assert alive <= 3, state.passes
    assert len(seen) > 5
