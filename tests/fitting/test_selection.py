"""Many candidates in the same passes: the right one wins, and none costs a pass of its own."""

import numpy as np
import pytest

from gmm_dask import Configuration, fit, select
from gmm_dask.fitting.run_loop import Progress
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
