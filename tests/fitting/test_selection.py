"""Many candidates in the same passes: the right one wins, and none costs a pass of its own."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Peer

from gmm_dask import Configuration, fit, select
from gmm_dask.fitting.run_loop import Progress
from gmm_dask.mixture.covariance import FAMILIES
from gmm_dask.models.model import load_model


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(2)
    means = np.array([[0, 0], [6, 0], [0, 6]])
    return means[random.integers(3, size=3000)] + random.normal(size=(3000, 2))


@pytest.mark.parametrize("criterion", ["bic", "icl"])
def test_the_true_number_of_components_wins(rows, criterion):
    found = select(
        rows, range(1, 7), ("full", "spherical"), criterion=criterion, tol=1e-5, max_iter=300
    )
    assert found.best.mixture.components == 3
    assert found.best.mixture.family == "spherical"
    assert len(found.table) == 12
    values = [getattr(choice, criterion) for choice in found.table]
    assert values == sorted(values)
    assert "best by" in str(found)


def test_every_candidate_ends_where_a_fit_of_its_own_does(rows):
    found = select(rows, (1, 2, 3), tol=1e-7, max_iter=200, drop=False)
    for choice in found.table:
        alone = fit(rows, Configuration(choice.components, tol=1e-7, max_iter=200))
        assert choice.mean_log_likelihood == pytest.approx(alone.mean_log_likelihood, abs=1e-6)
        assert choice.bic == pytest.approx(alone.bic, rel=1e-6)


def test_passes_are_shared(rows):
    found = select(rows, range(1, 6), tol=1e-6, max_iter=200, drop=False)
    assert found.passes <= max(choice.iterations for choice in found.table) + 2
    assert found.passes < sum(choice.iterations for choice in found.table)


def test_hopeless_candidates_are_dropped_but_not_the_winner(rows):
    arguments = {"components": range(1, 9), "tol": 1e-9, "max_iter": 400, "accelerate": None}
    dropped, kept = (select(rows, drop=drop, **arguments) for drop in (True, False))
    assert dropped.best.mixture.components == kept.best.mixture.components
    assert any(choice.reason.startswith("dropped") for choice in dropped.table)
    assert sum(c.iterations for c in dropped.table) < sum(c.iterations for c in kept.table)


def test_an_interrupted_selection_resumes_with_the_same_bits(rows, tmp_path):
    class Interrupted(BaseException):
        pass

    def interrupt(progress: Progress) -> None:
        if progress.state.iteration == 6:
            raise Interrupted

    arguments = {"components": (2, 3, 4), "tol": 0, "max_iter": 15}
    whole = select(rows, **arguments)
    with pytest.raises(Interrupted):
        select(rows, run=tmp_path / "run", callbacks=[interrupt], **arguments)
    resumed = select(rows, run=tmp_path / "run", **arguments)
    assert resumed.table == whole.table
    assert np.array_equal(resumed.best.mixture.means, whole.best.mixture.means)
    assert load_model(tmp_path / "run" / "model.zarr").mixture.components == 3
    assert select(rows, run=tmp_path / "run", **arguments).table == whole.table


@pytest.mark.parametrize("seed", range(3))
def test_a_component_that_has_learnt_the_rounding_of_the_irises_is_no_species(seed):
    rows = np.loadtxt(Path("data/iris.csv"), delimiter=",", skiprows=1, usecols=range(4))
    peer = [Peer(k, n_init=3, random_state=seed).fit(rows).bic(rows) for k in (1, 2, 3)]
    found = select(rows, range(1, 7), n_init=10, seed=seed)
    assert found.best.mixture.components == 1 + int(np.argmin(peer)) == 2
    assert found.best.bic == pytest.approx(min(peer), rel=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("numbers", [range(1, 9), (8, 3, 5, 1)])
def test_more_components_are_never_less_likely(family, numbers):
    rows = np.loadtxt(Path("data/iris.csv"), delimiter=",", skiprows=1, usecols=range(4))
    found = select(rows, numbers, family, seed=4)
    by_number = sorted(found.table, key=lambda choice: choice.components)
    heights = [choice.mean_log_likelihood for choice in by_number]
    assert heights == sorted(heights)


def test_candidates_with_degenerate_components_come_last_and_are_told():
    rows = np.random.default_rng(0).normal(size=(300, 2)).round(0)
    rows[:60] = [0, 0.001]
    found = select(rows, (1, 2, 3), tol=1e-6, max_iter=500)
    broken = [choice.degenerate > 0 for choice in found.table]
    assert broken == sorted(broken)
    assert any(broken)
    assert not broken[0]
    assert found.table[-1].bic < found.table[0].bic
    assert f"of which {sum(broken)} with degenerate components come last" in str(found)
    assert "degenerate" in str(found).splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"components": []}, "at least one number"),
        ({"components": [2], "criterion": "luck"}, "criterion must be one of bic, aic, icl"),
        ({"components": [0]}, "components must be a whole number"),
        ({"components": [2], "covariance": "round"}, "unknown covariance family"),
    ],
)
def test_a_bad_grid_is_refused(rows, arguments, message):
    with pytest.raises(ValueError, match=message):
        select(rows, **arguments)
