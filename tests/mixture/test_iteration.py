"""The loop: monotone, repeatable, resumable from any state, and indifferent to units and order."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.mixture.iteration import EMSettings, fall, iterate, run, start
from gmm_dask.mixture.maximisation import DegenerateComponentError
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.stopping import Stopping
from tests.mixture.problems import (
    FAMILY_NAMES,
    assert_same_bits,
    drawn_mixture,
    drawn_rows,
    over,
    plain,
)

families = st.sampled_from(FAMILY_NAMES)


def fitted(rows, begin, iterations=8, weights=None):
    blocks = np.array_split(rows, 3)
    parts = None if weights is None else np.array_split(weights, 3)
    (candidate,) = run(over(*blocks, weights=parts), start([begin]), plain(iterations)).candidates
    return candidate


def assert_close(a, b, tolerance=1e-6):
    np.testing.assert_allclose(a.weights, b.weights, rtol=tolerance)
    deviations = np.sqrt(b.variance)
    np.testing.assert_allclose((a.means - b.means) / deviations, 0, atol=tolerance)
    units = np.sqrt(b.variances)[:, :, None] * np.sqrt(b.variances)[:, None, :]
    np.testing.assert_allclose((a.matrices - b.matrices) / units, 0, atol=tolerance)


@settings(deadline=None, max_examples=40)
@given(
    family=families,
    seed=st.integers(0, 10_000),
    k=st.integers(1, 5),
    d=st.integers(1, 4),
    weighted=st.booleans(),
)
def test_the_likelihood_never_falls(family, seed, k, d, weighted):
    begin = drawn_mixture(k, d, family, seed)
    rows = drawn_rows(150, begin, seed)
    weights = np.random.default_rng(seed).gamma(1, size=150) if weighted else None
    parts = None if weights is None else np.array_split(weights, 2)
    before = -np.inf
    for state in iterate(over(*np.array_split(rows, 2), weights=parts), start([begin]), plain(30)):
        (candidate,) = state.candidates
        if candidate.degenerate:
            break  # a floor takes away what it must
        now = candidate.mean_log_likelihood
        assert now >= before - 1e-12 * abs(now)
        assert not [e for e in candidate.record.events if e.kind == "fall"]
        before = now


@settings(deadline=None, max_examples=30)
@given(family=families, seed=st.integers(0, 1000), order=st.permutations(range(4)))
def test_permuted_components_give_permuted_results(family, seed, order):
    begin = drawn_mixture(4, 2, family, seed)
    rows = drawn_rows(200, begin, seed)
    one = fitted(rows, begin).mixture
    other = fitted(rows, begin.take(np.array(order))).mixture
    assert_close(other, one.take(np.array(order)), 1e-8)


@settings(deadline=None, max_examples=30)
@given(family=families, seed=st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(family, seed):
    begin = drawn_mixture(3, 2, family, seed)
    rows = drawn_rows(200, begin, seed)
    order = np.random.default_rng(seed).permutation(200)
    weights = np.linspace(0, 2, 200)
    one = fitted(rows, begin, weights=weights)
    other = fitted(rows[order], begin, weights=weights[order])
    assert_close(other.mixture, one.mixture, 1e-8)
    assert other.mean_log_likelihood == pytest.approx(one.mean_log_likelihood, rel=1e-10)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("offset", [1e3, -1e6, 1e8])
def test_translation(family, offset):
    begin = drawn_mixture(3, 3, family)
    rows = np.round(drawn_rows(400, begin) * 2**20) / 2**20  # both sums are exact
    shift = np.array([offset, -offset, offset])
    moved = Mixture(
        begin.weights, np.round(begin.means * 2**20) / 2**20 + shift, begin.covariances, family
    )
    begin = Mixture(begin.weights, moved.means - shift, begin.covariances, family)
    one, other = fitted(rows, begin), fitted(rows + shift, moved)
    back = Mixture(
        other.mixture.weights, other.mixture.means - shift, other.mixture.covariances, family
    )
    assert_close(back, one.mixture, 1e-6)
    assert other.mean_log_likelihood == pytest.approx(one.mean_log_likelihood, abs=1e-6)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("factor", [2.0**40, 2.0**-40, 1e100, 1e-100])
def test_scaling(family, factor):
    begin = drawn_mixture(3, 3, family)
    rows = drawn_rows(400, begin)
    large = Mixture(begin.weights, begin.means * factor, begin.covariances * factor**2, family)
    one, other = fitted(rows, begin), fitted(rows * factor, large)
    back = Mixture(
        other.mixture.weights,
        other.mixture.means / factor,
        other.mixture.covariances / factor / factor,
        family,
    )
    assert_close(back, one.mixture, 1e-8)
    expected = one.mean_log_likelihood - 3 * np.log(factor)
    assert other.mean_log_likelihood == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("family", ["full", "diag", "tied"])
def test_features_of_very_different_size(family):
    begin = drawn_mixture(3, 3, family)
    rows = drawn_rows(400, begin)
    units = np.array([1e-30, 1.0, 1e30])
    products = units * units[:, None] if family in ("full", "tied") else units**2
    other = Mixture(begin.weights, begin.means * units, begin.covariances * products, family)
    one, two = fitted(rows, begin).mixture, fitted(rows * units, other).mixture
    back = Mixture(two.weights, two.means / units, two.covariances / products, family)
    assert_close(back, one, 1e-8)


@pytest.mark.parametrize(
    ("d", "k", "alike"),
    [
        (1, 3, ("full", "diag", "spherical")),
        (3, 1, ("full", "tied")),
        (1, 1, ("full", "tied", "diag", "spherical")),
    ],
)
def test_families_agree_where_they_must(d, k, alike):
    base = drawn_mixture(k, d, "full")
    rows = drawn_rows(300, base)
    found = {}
    for family in alike:
        covariances = {
            "full": base.matrices,
            "tied": base.matrices[0],
            "diag": base.variances,
            "spherical": base.variances[:, 0],
        }[family]
        found[family] = fitted(rows, Mixture(base.weights, base.means, covariances, family))
    first = found[alike[0]]
    for candidate in found.values():
        assert_close(candidate.mixture, first.mixture, 1e-9)
        assert candidate.mean_log_likelihood == pytest.approx(first.mean_log_likelihood)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_the_scale_of_weights_changes_nothing(family):
    begin = drawn_mixture(3, 2, family)
    rows = drawn_rows(200, begin)
    weights = np.random.default_rng(0).random(200)
    one = fitted(rows, begin, weights=weights)
    for factor in (2.0**-30, 3e7):
        other = fitted(rows, begin, weights=weights * factor)
        assert_close(other.mixture, one.mixture, 1e-10)
        assert other.mean_log_likelihood == pytest.approx(one.mean_log_likelihood)


@pytest.mark.parametrize("accelerate", [None, "squarem", "anderson"])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_resuming_from_any_state_is_going_on(family, accelerate):
    begin = [drawn_mixture(3, 2, family, 1), drawn_mixture(2, 2, "full", 2)]
    rows = drawn_rows(300, begin[0])
    statistics_of = over(*np.array_split(rows, 4))
    how = EMSettings(Stopping(tol=1e-5, max_iter=12), Regularisation(0), accelerate)
    states = list(iterate(statistics_of, start(begin), how))
    for i, state in enumerate(states):
        saved = pickle.loads(pickle.dumps(state))
        assert_same_bits(saved, state)
        assert_same_bits(run(statistics_of, saved, how), states[-1])
        assert state.passes == i + 1


def test_the_likelihood_belongs_to_the_mixture_beside_it():
    begin = drawn_mixture(3, 2)
    rows = drawn_rows(300, begin)
    for state in iterate(over(rows), start([begin]), plain(5)):
        (candidate,) = state.candidates
        own = candidate.mixture.log_density(rows).mean()
        assert candidate.mean_log_likelihood == pytest.approx(own, rel=1e-12)
        assert candidate.record.mean_log_likelihood == candidate.mean_log_likelihood
    assert candidate.iteration == 5
    assert state.passes == 6  # one for the start, one for each M-step


def test_candidates_run_and_stop_on_their_own():
    quick = drawn_mixture(1, 2)
    slow = drawn_mixture(4, 2, spread=0.3)
    rows = drawn_rows(500, slow)
    asked = []

    def statistics_of(mixtures, kernels):
        asked.append(len(mixtures))
        return over(rows)(mixtures, kernels)

    state = run(statistics_of, start([quick, slow]), plain(3000, tol=1e-5))
    assert all(candidate.converged for candidate in state.candidates)
    assert asked[0] == 2
    assert asked[-1] == 1
    assert state.finished
    alone = run(over(rows), start([slow]), plain(3000, tol=1e-5)).candidates[0]
    assert alone.iteration == state.candidates[1].iteration
    assert_close(alone.mixture, state.candidates[1].mixture, 1e-8)
    best = max(c.mean_log_likelihood for c in state.candidates)
    assert state.best.mean_log_likelihood == best


def shrinking_rows(width, seed=0):
    """A wide component, and one that is about to shrink."""
    random = np.random.default_rng(seed)
    narrow = np.array([25.0, 0.5]) + width * random.normal(size=(200, 2))
    return np.vstack([random.normal(size=(300, 2)), narrow])


@pytest.mark.parametrize("width", [1e-4, 1e-8])
@pytest.mark.parametrize("policy", ["floor", "reseed", "drop", "error"])
def test_a_pass_is_repeated_where_a_component_shrinks_suddenly(width, policy):
    rows = shrinking_rows(width)
    begin = Mixture([0.5, 0.5], [[0, 0], [24, 0]], np.tile(np.eye(2), (2, 1, 1)))
    state = start([begin])
    states = list(iterate(over(rows), state, plain(3, degenerate=policy)))
    assert states[0].candidates[0].record.kernel == "centred"
    assert states[0].passes == 2
    assert states[1].passes == 3  # from here on the bound knows beforehand
    (candidate,) = states[-1].candidates
    np.testing.assert_allclose(
        candidate.mixture.covariances[1] / np.cov(rows[300:].T, ddof=0), 1, rtol=1e-6
    )
    assert candidate.mean_log_likelihood == pytest.approx(
        candidate.mixture.log_density(rows).mean(), rel=1e-9
    )


@pytest.mark.parametrize("policy", ["reseed", "drop", "error"])
def test_a_policy_waits_for_the_repeated_pass(policy):
    begin = Mixture([0.5, 0.5], [[0, 0], [24, 0]], np.tile(np.eye(2), (2, 1, 1)))
    for seed in range(8):  # what the first pass finds is noise: some of it looks degenerate
        statistics_of = over(shrinking_rows(1e-8, seed))
        (candidate,) = run(statistics_of, start([begin]), plain(1, degenerate=policy)).candidates
        assert candidate.mixture.components == 2
        np.testing.assert_allclose(candidate.mixture.means[1], [25, 0.5], rtol=1e-6)
        assert not candidate.degenerate


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_components_1e_8_of_the_range_wide(family):
    random = np.random.default_rng(0)
    means = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    rows = means[np.arange(300) % 3] + 1e-8 * random.normal(size=(300, 2))
    begin = drawn_mixture(3, 2, family)
    begin = Mixture(np.full(3, 1 / 3), means + 1e-9, begin.covariances * 1e-16, family)
    mixture = fitted(rows, begin).mixture
    truth = np.array([rows[k::3].var(axis=0) for k in range(3)])
    if family == "tied":
        truth = np.tile(truth.mean(axis=0), (3, 1))
    if family == "spherical":
        truth = np.repeat(truth.mean(axis=1)[:, None], 2, axis=1)
    np.testing.assert_allclose(mixture.variances, truth, rtol=1e-6)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_500_features(family):
    begin = drawn_mixture(2, 500, family, spread=0.2)
    rows = drawn_rows(1200, begin)
    (candidate,) = run(over(rows[:700], rows[700:]), start([begin]), plain(2)).candidates
    own = candidate.mixture.log_density(rows).mean()
    assert candidate.mean_log_likelihood == pytest.approx(own, rel=1e-10)
    np.testing.assert_allclose(candidate.mixture.mean, rows.mean(axis=0), atol=1e-10)


def test_one_outlier_at_1e9_leaves_the_others_alone():
    random = np.random.default_rng(0)
    rows = np.vstack(
        [random.normal(size=(200, 2)), random.normal(size=(200, 2)) + 6, [[1e9, -1e9]]]
    )
    begin = Mixture(np.full(3, 1 / 3), [[0, 0], [6, 6], [1e9, -1e9]], np.tile(np.eye(2), (3, 1, 1)))
    candidate = fitted(rows, begin, 10)
    np.testing.assert_allclose(candidate.mixture.means[0], rows[:200].mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(candidate.mixture.means[1], rows[200:400].mean(axis=0), atol=1e-3)
    truth = np.cov(rows[:200].T, ddof=0)
    np.testing.assert_allclose(candidate.mixture.covariances[0], truth, atol=1e-2)


def test_what_is_not_finite_fails_and_says_so():
    begin = drawn_mixture(2, 2)
    rows = drawn_rows(100, begin)

    def statistics_of(mixtures, kernels):
        found = over(rows)(mixtures, kernels)
        for statistics in found:
            object.__setattr__(statistics, "log_likelihood", float("nan"))
        return found

    state = run(statistics_of, start([begin]), plain(10, tol=1e300))
    (candidate,) = state.candidates
    assert candidate.reason == "failed: the log-likelihood is not finite"
    assert not candidate.converged
    assert state.finished


def test_an_event_is_reported_once_with_its_iteration():
    rows = np.repeat(np.eye(2), 30, axis=0)
    begin = Mixture([0.5, 0.5], [[1.0, 0.1], [0.1, 1.0]], np.ones((2, 2)), "diag")
    records = [
        state.candidates[0].record for state in iterate(over(rows), start([begin]), plain(40))
    ]
    events = [
        (r.iteration, e.component) for r in records for e in r.events if e.kind == "collapsed"
    ]
    assert len({component for _, component in events}) == len(events) == 2


def test_the_policy_error_raises_in_the_middle_only_when_asked():
    rows = np.repeat(np.eye(2), 30, axis=0)
    begin = Mixture([0.5, 0.5], [[1.0, 0.1], [0.1, 1.0]], np.ones((2, 2)), "diag")
    with pytest.raises(DegenerateComponentError, match=r"component \d is collapsed"):
        run(over(rows), start([begin]), plain(40, degenerate="error"))


def test_a_fall_beyond_rounding_is_an_event():
    assert fall(-1.0, -1.0 - 1e-12) == ()
    assert fall(float("nan"), -1.0) == ()
    assert [event.kind for event in fall(-1.0, -1.1)] == ["fall"]
