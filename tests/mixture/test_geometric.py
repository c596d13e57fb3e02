"""The fourteen geometric families: at least mclust's optimum, nested, monotone, and the same where
they coincide."""

import json
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from gmm_dask import Configuration, Mixture, fit, select
from gmm_dask.mixture.covariance import FAMILIES, MCLUSTS, family_named
from gmm_dask.mixture.criteria import CRITERIA
from gmm_dask.mixture.evaluation import evaluate
from gmm_dask.mixture.iteration import iterate, start
from gmm_dask.mixture.kernels.choice import choose_kernels
from gmm_dask.mixture.maximisation import maximise
from gmm_dask.mixture.q_function import expected_log_likelihood
from gmm_dask.mixture.regularisation import Regularisation
from tests.mixture.mclust import KEPT, NAMES, tables
from tests.mixture.problems import drawn_mixture, drawn_rows, over, plain

OURS = {name: family_named(name).name for name in NAMES}
NEW = tuple(name for name in NAMES if name not in MCLUSTS)
TRUTH = json.loads(KEPT.read_text())
TABLES = {name: (rows, labels) for name, rows, labels in tables()}
UNREGULARISED = Regularisation(reg_covar=0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("table", "accelerate"), [*((table, "auto") for table in TABLES), ("iris", None)]
)
def test_from_the_same_labels_the_optimum_is_at_least_mclusts(table, name, accelerate):
    rows, labels = TABLES[table]
    log_likelihood, criterion, count = TRUTH[table][name]
    asked = Configuration(
        int(labels.max()) + 1,
        name,
        init="labels",
        tol=1e-11,
        max_iter=5000,
        reg_covar=0,
        accelerate=accelerate,
    )
    found = fit(rows, asked, labels=labels)
    assert found.mixture.family == OURS[name]
    assert found.mixture.parameter_count == count
    assert found.mean_log_likelihood >= log_likelihood / len(rows) - 1e-8
    # mclust's criterion is the negative of ours
    bic = -2 * log_likelihood + count * np.log(len(rows))
    assert bic == pytest.approx(-criterion)
    if found.mean_log_likelihood == pytest.approx(log_likelihood / len(rows), abs=1e-8):
        assert CRITERIA["bic"](found.mixture, found.statistics) == pytest.approx(bic, rel=1e-6)


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize(("features", "components"), [(1, 3), (2, 4), (5, 3)])
def test_the_likelihood_never_falls(name, features, components):
    rows = drawn_rows(400, drawn_mixture(components, features, spread=1.5))
    begin = drawn_mixture(components, features, name, seed=3, spread=1.0)
    states = [s.candidates[0] for s in iterate(over(rows), start([begin]), plain(60))]
    for before, after in pairwise(states):
        assert after.mean_log_likelihood >= before.mean_log_likelihood - 1e-12
    assert states[-1].mean_log_likelihood > states[0].mean_log_likelihood


def stepped(rows, mixture):
    (evaluation,), _ = evaluate(over(rows), (mixture,), UNREGULARISED)
    return evaluation


@pytest.mark.parametrize("name", NEW)
def test_an_m_step_is_not_bettered_by_its_neighbours_in_the_family(name):
    mixture = drawn_mixture(3, 3, name)
    rows = drawn_rows(300, mixture)
    evaluation = stepped(rows, mixture)
    solution = evaluation.maximised.mixture
    for _ in range(60):  # the common axes of EVE and VVE come closer in every step
        solution = maximise(evaluation.statistics, name, UNREGULARISED, solution).mixture
    height = expected_log_likelihood(solution, evaluation.statistics)
    random = np.random.default_rng(0)
    for size, _ in product((1e-1, 1e-2, 1e-3), range(10)):
        shift = 1 + size * random.normal(size=solution.covariances.shape)
        if not solution.diagonal:
            shift = (shift + np.swapaxes(shift, -1, -2)) / 2
        moved = solution.covariances * shift
        if name not in ("EII", "EEI"):
            moved = solution.kind.nearest(solution.weights, moved, solution.covariances)
        other = Mixture(solution.weights, solution.means, moved, name)
        assert expected_log_likelihood(other, evaluation.statistics) <= height + 1e-7


NESTED = [
    *(("EII", "VII"), ("EII", "EEI"), ("EEI", "VEI"), ("EEI", "EVI"), ("VEI", "VVI")),
    *(("EVI", "VVI"), ("EEI", "EEE"), ("EEE", "VEE"), ("EEE", "EVE"), ("VEE", "VVE")),
    *(("EVE", "VVE"), ("EEE", "EEV"), ("VEE", "VEV"), ("EEV", "VEV"), ("EVE", "EVV")),
    *(("EEV", "EVV"), ("VVE", "VVV"), ("VEV", "VVV"), ("EVV", "VVV"), ("VVI", "VVE")),
    *(("VEI", "VEE"), ("EVI", "EVE"), ("VII", "VEI")),
]


@pytest.mark.parametrize(("narrow", "wide"), NESTED)
def test_a_wider_family_is_no_less_likely(narrow, wide):
    rows, labels = TABLES["4 features"]
    asked = {"tol": 1e-9, "max_iter": 3000, "reg_covar": 0}
    first = fit(rows, Configuration(3, narrow, init="labels", **asked), labels=labels).mixture
    kind = family_named(wide)
    own = first.variances if kind.layout.diagonal else first.matrices
    scatter = own * first.weights.reshape(-1, *[1] * (own.ndim - 1))
    inside = kind.maximise(first.weights, scatter.sum(axis=0) if wide == "EEE" else scatter)
    begin = Mixture(first.weights, first.means, inside, wide)
    height = first.log_density(rows).mean()
    assert begin.log_density(rows).mean() == pytest.approx(height, abs=1e-9)
    found = fit(rows, Configuration(3, wide, **asked), initial=begin)
    assert found.mean_log_likelihood >= height - 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_in_one_feature_there_are_two_families(name):
    rows = TABLES["iris"][0][:, :1]
    labels = TABLES["iris"][1]
    asked = {"init": "labels", "tol": 1e-9, "reg_covar": 0}
    same = "VII" if name.startswith("V") else "EII"
    found = fit(rows, Configuration(3, name, **asked), labels=labels).mixture
    expected = fit(rows, Configuration(3, same, **asked), labels=labels).mixture
    np.testing.assert_allclose(found.matrices, expected.matrices, rtol=1e-6)
    np.testing.assert_allclose(found.means, expected.means, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_of_one_component_there_are_three_families(name):
    rows = TABLES["iris"][0]
    found = fit(rows, Configuration(1, name, reg_covar=0)).mixture
    spread = rows - rows.mean(axis=0)
    matrix = spread.T @ spread / len(rows)
    if name.endswith("II"):
        matrix = np.eye(4) * np.trace(matrix) / 4
    elif name.endswith("I"):
        matrix = np.diag(np.diagonal(matrix))
    np.testing.assert_allclose(found.matrices[0], matrix, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_what_has_no_axes_of_its_own_turns_with_the_rows(name):
    rows, labels = TABLES["4 features"]
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(4, 4)))[0]
    asked = Configuration(3, name, init="labels", tol=1e-10, max_iter=3000, reg_covar=0)
    heights = [
        fit(table, asked, labels=labels).mean_log_likelihood for table in (rows, rows @ turn)
    ]
    turns = not name.endswith("I") or name.endswith("II")
    assert (abs(heights[0] - heights[1]) < 1e-7) == turns


@pytest.mark.parametrize("name", NEW)
def test_units_of_features_matter_to_no_pass(name):
    rows = drawn_rows(300, drawn_mixture(3, 3))
    begin = drawn_mixture(3, 3, name)
    scaled = Mixture(begin.weights, 1e6 * begin.means, 1e12 * begin.covariances, name)
    one, other = stepped(rows, begin), stepped(1e6 * rows, scaled)
    np.testing.assert_allclose(
        other.maximised.mixture.covariances,
        1e12 * one.maximised.mixture.covariances,
        rtol=1e-9,
        atol=1e2,
    )


@pytest.mark.parametrize("name", NEW)
def test_components_without_rows_or_extent_stay_mixtures(name):
    random = np.random.default_rng(0)
    rows = np.concatenate([random.normal(size=(40, 3)), np.full((5, 3), 9.0), [[1e4, 0, 0]]])
    for reg_covar in (0.0, 1e-6):
        asked = Configuration(6, name, init="random_from_data", reg_covar=reg_covar, max_iter=40)
        assert np.isfinite(fit(rows, asked).mean_log_likelihood)
    flat = np.column_stack([random.normal(size=(60, 2)), np.ones(60)])
    assert np.isfinite(fit(flat, Configuration(3, name)).mean_log_likelihood)


@pytest.mark.parametrize("name", NEW)
def test_the_kernels_are_those_of_full_and_diagonal_precisions(name):
    mixture = drawn_mixture(5, 4, name)
    assert choose_kernels((mixture,), "float64") == choose_kernels(
        (drawn_mixture(5, 4, "diag" if mixture.diagonal else "full"),), "float64"
    )


@pytest.mark.parametrize("name", [name for name in NEW if name not in ("EII", "EEI")])
def test_an_accelerated_fit_stays_in_its_family(name):
    rows = drawn_rows(400, drawn_mixture(3, 3, spread=1.5))
    asked = Configuration(3, name, tol=1e-9, max_iter=500, reg_covar=0, accelerate="auto")
    found = fit(rows, asked)
    assert any(entry["step"] == "accelerated" for entry in found.history)
    for iterations in range(4, found.iterations):
        mixture = fit(rows, replace(asked, max_iter=iterations)).mixture
        near = mixture.kind.alike(mixture.weights, mixture.covariances, mixture.covariances)
        np.testing.assert_allclose(near, mixture.covariances, rtol=1e-6, atol=1e-9)


class Interrupted(BaseException):
    """As Ctrl-C."""


def interrupt(progress):
    if progress.state.iteration == 4:
        raise Interrupted


@pytest.mark.parametrize("name", NEW)
def test_interrupted_and_resumed_it_ends_with_the_same_bits(name, tmp_path):
    rows = drawn_rows(500, drawn_mixture(3, 3))
    asked = Configuration(3, name, tol=0, max_iter=9)
    whole = fit(rows, asked).mixture
    with pytest.raises(Interrupted):
        fit(rows, asked, run=tmp_path / "run", callbacks=[interrupt])
    again = fit(rows, asked, run=tmp_path / "run").mixture
    for one in ("weights", "means", "covariances"):
        assert getattr(again, one).tobytes() == getattr(whole, one).tobytes()


def test_all_of_them_are_compared_in_the_same_passes():
    rows = TABLES["iris"][0]
    found = select(rows, [2, 3], "all", tol=1e-4)
    assert {(choice.components, choice.covariance) for choice in found.table} == set(
        product((2, 3), FAMILIES)
    )
    # mclust's own answer for iris over the whole grid
    assert (found.best.mixture.components, found.best.mixture.family) == (2, "VEV")
    criterion = -TRUTH["iris"]["VEV"][1]
    assert found.table[1].bic == pytest.approx(criterion, rel=1e-4)
    assert select(rows, [2], ["VVV", "full"]).table[0].covariance == "full"


def test_marginals_are_of_a_family_that_holds_them():
    for name in NEW:
        mixture = drawn_mixture(3, 4, name)
        part = mixture.marginal([0, 2])
        np.testing.assert_allclose(part.matrices, mixture.matrices[:, [0, 2]][:, :, [0, 2]])
        kept = part.kind.nearest(part.weights, part.covariances, part.covariances)
        np.testing.assert_allclose(kept, part.covariances, rtol=1e-9, atol=1e-12)
        given = mixture.conditional({1: 0.5})
        kept = given.kind.nearest(given.weights, given.covariances, given.covariances)
        np.testing.assert_allclose(kept, given.covariances, rtol=1e-9, atol=1e-12)
