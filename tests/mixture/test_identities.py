"""Every identity of the textbooks holds, and each notices when it should not."""

from dataclasses import replace

import numpy as np
import pytest

from gmm_dask.mixture.identities import comparison, verify
from gmm_dask.mixture.maximisation import maximise
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.q_function import expected_log_likelihood, gradient, lagrange_multipliers
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.sweep import sweep
from gmm_dask.mixture.textbook import Textbook
from tests.mixture.problems import EVERY_FAMILY, FAMILY_NAMES, drawn_mixture, drawn_rows

GENERAL = {
    "log-likelihood", "entropy", "Q at θ*", "decomposition", "counts", "Q at the M-step",
    "EM inequality", "M-step raises Q", "gradient in π", "gradient in μ", "gradient in Σ",
    "multiplier of Σπ = 1", "M-step in μ", "M-step in Σ", "weights", "means", "covariances",
}  # fmt: skip
UNIVARIATE = {f"univariate {name}" for name in ("weights", "means", "covariances")}
TWO_COMPONENTS = {f"two-component {name}" for name in ("weights", "means", "covariances")}
SHAPES = ((1, 2), (1, 3), (3, 2), (3, 4))


def problem(family, d=3, k=4, weighted=True):
    mixture = drawn_mixture(k, d, family)
    rows = drawn_rows(300, mixture)
    weights = np.random.default_rng(2).gamma(1.0, size=300) if weighted else None
    return mixture, rows, weights


@pytest.mark.parametrize("family", EVERY_FAMILY)
@pytest.mark.parametrize(("d", "k"), SHAPES)
@pytest.mark.parametrize(("weighted", "offset"), [(False, 1e6), (True, 0.0)])
def test_all_hold(family, d, k, weighted, offset):
    mixture, rows, weights = problem(family, d, k, weighted)
    moved = Mixture(mixture.weights, mixture.means + offset, mixture.covariances, family)
    found = verify(moved, rows + offset, weights)
    names = GENERAL | (UNIVARIATE if d == 1 else set()) | (TWO_COMPONENTS if k == 2 else set())
    assert {identity.name for identity in found} == names
    assert found.holds, f"\n{found}"


def altered(family, d, k, **change):
    """Names of the identities that fail when the statistics are changed."""
    mixture, rows, weights = problem(family, d, k)
    (statistics,) = sweep(rows, [mixture], weights)
    solution = maximise(statistics, family, Regularisation(reg_covar=0)).mixture
    (after,) = sweep(rows, [solution], weights)
    wrong = replace(
        statistics, **{name: f(getattr(statistics, name)) for name, f in change.items()}
    )
    found = comparison(Textbook(mixture, rows, weights), wrong, solution, after)
    return {identity.name for identity in found if not identity.holds}


def nudged(array):
    wrong = np.array(array)
    wrong.flat[0] += 1e-6 * np.abs(wrong).max()
    return wrong


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_wrong_statistics_are_noticed(family):
    assert altered(family, 3, 2) == set()
    assert altered(family, 3, 2, log_likelihood=lambda x: x + 1e-3) >= {
        "log-likelihood",
        "decomposition",
    }
    assert altered(family, 3, 2, entropy=lambda x: x + 1e-3) == {"entropy", "decomposition"}
    assert altered(family, 3, 2, counts=nudged) >= {
        "decomposition", "Q at θ*", "Q at the M-step", "counts", "gradient in π", "gradient in Σ",
        "multiplier of Σπ = 1",
    }  # fmt: skip
    assert altered(family, 3, 2, means=nudged) >= {"gradient in μ", "M-step in μ", "Q at θ*"}
    assert altered(family, 3, 2, scatter=nudged) >= {"gradient in Σ", "M-step in Σ", "Q at θ*"}


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize(("d", "k"), [(1, 2), (3, 2)])
@pytest.mark.parametrize("name", ["weights", "means", "covariances"])
def test_a_wrong_solution_is_noticed(family, d, k, name):
    mixture, rows, weights = problem(family, d, k)
    (statistics,) = sweep(rows, [mixture], weights)
    good = maximise(statistics, family, Regularisation(reg_covar=0)).mixture
    parts = {part: getattr(good, part) for part in ("weights", "means", "covariances")}
    parts[name] = parts[name] * 1.001 if name == "covariances" else nudged(parts[name])
    if name == "weights":
        parts[name] /= parts[name].sum()
    wrong = Mixture(**parts, family=family)
    (after,) = sweep(rows, [wrong], weights)
    found = comparison(Textbook(mixture, rows, weights), statistics, wrong, after)
    failed = {identity.name for identity in found if not identity.holds}
    stationary = {"weights": "multiplier of Σπ = 1", "means": "M-step in μ"}
    expected = {name, f"two-component {name}", stationary.get(name, "M-step in Σ")}
    assert failed >= expected | ({f"univariate {name}"} if d == 1 else set())


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_inequalities_notice_a_step_backwards(family):
    mixture, rows, weights = problem(family)
    (statistics,) = sweep(rows, [mixture], weights)
    good = maximise(statistics, family, Regularisation(reg_covar=0)).mixture
    (there,) = sweep(rows, [good], weights)
    # from the M-step's solution back to where it came from: Q and L both fall
    found = comparison(Textbook(good, rows, weights), there, mixture, statistics)
    assert not {i.name: i.holds for i in found}["M-step raises Q"]
    lost = replace(there, log_likelihood=statistics.log_likelihood)  # a gain that did not come
    found = comparison(Textbook(mixture, rows, weights), statistics, good, lost)
    assert not {i.name: i.holds for i in found}["EM inequality"]


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize(("d", "k"), [(1, 2), (3, 4)])
def test_fishers_identity_against_finite_differences(family, d, k):
    mixture, rows, weights = problem(family, d, k)
    (statistics,) = sweep(rows, [mixture], weights)
    slope = gradient(mixture, statistics)
    for name in ("weights", "means", "covariances"):
        random = np.random.default_rng(3)
        direction = random.normal(size=getattr(mixture, name).shape)
        if name == "weights":
            direction -= direction.mean()  # along Σπ = 1
        if name == "covariances" and direction.ndim > 1 and family != "diag":
            direction = direction + np.swapaxes(direction, -1, -2)
        step = 1e-5

        def likelihood(t, name=name, direction=direction):
            moved = {part: getattr(mixture, part) for part in ("weights", "means", "covariances")}
            moved[name] = moved[name] + t * direction
            return sweep(rows, [Mixture(**moved, family=family)], weights)[0].log_likelihood

        numerical = (likelihood(step) - likelihood(-step)) / (2 * step)
        analytic = np.vdot(getattr(slope, name), direction)
        assert analytic == pytest.approx(numerical, rel=1e-6, abs=1e-4), name


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_q_of_any_mixture_from_statistics_alone(family):
    mixture, rows, weights = problem(family)
    other = drawn_mixture(4, 3, family, seed=9)
    (statistics,) = sweep(rows, [mixture], weights)
    members = mixture.responsibilities(rows) * weights[:, None]
    directly = (members * other.log_joint(rows)).sum()
    assert expected_log_likelihood(other, statistics) == pytest.approx(directly, rel=1e-12)


def test_statistics_of_another_family_are_refused():
    mixture, rows, _ = problem("full")
    (statistics,) = sweep(rows, [drawn_mixture(4, 3, "diag")])
    with pytest.raises(ValueError, match="need outer statistics"):
        expected_log_likelihood(mixture, statistics)


def test_the_multiplier_is_the_total_weight_at_the_solution_only():
    mixture, rows, weights = problem("full")
    (statistics,) = sweep(rows, [mixture], weights)
    solution = maximise(statistics, "full", Regularisation(reg_covar=0)).mixture
    np.testing.assert_allclose(lagrange_multipliers(solution, statistics), weights.sum())
    assert np.ptp(lagrange_multipliers(mixture, statistics)) > 1


def test_the_table_reads_well():
    mixture, rows, weights = problem("full", 1, 2)
    lines = str(verify(mixture, rows, weights)).splitlines()
    assert len(lines) == 1 + len(GENERAL | UNIVARIATE | TWO_COMPONENTS)
    assert all(line.startswith("holds ") for line in lines[1:])
    assert "ΔL ≥ ΔQ" in "".join(lines)
    assert max(map(len, lines)) < 140
