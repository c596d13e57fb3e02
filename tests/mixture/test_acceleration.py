"""Accelerations: the same optimum, never downhill, in fewer passes; only the state is carried."""

from dataclasses import fields, replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from gmm_dask.mixture.acceleration import ACCELERATIONS, acceleration_named
from gmm_dask.mixture.acceleration.anderson import anderson
from gmm_dask.mixture.acceleration.chart import Chart, as_vector, expected_gain
from gmm_dask.mixture.acceleration.extrapolation import STEADY_GAIN, Extrapolation, Secant
from gmm_dask.mixture.acceleration.floor import lifted
from gmm_dask.mixture.acceleration.memory import Memory
from gmm_dask.mixture.acceleration.quasi_newton import quasi_newton
from gmm_dask.mixture.acceleration.squarem import squarem
from gmm_dask.mixture.covariance import FAMILIES
from gmm_dask.mixture.iteration import Candidate, EMSettings, EMState, advance, iterate, start
from gmm_dask.mixture.maximisation import maximise
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.starts.initial import Sample, initial_mixture
from gmm_dask.mixture.starts.race import statistics_of_sample
from gmm_dask.mixture.stopping import Stopping
from gmm_dask.mixture.sweep import sweep

NAMES = tuple(ACCELERATIONS)
FREE = Regularisation(reg_covar=0.0)
"""Without reg_covar, so that EM never lowers the likelihood and scaling changes no bit."""
CLOSER = {"EVE": 100, "VVE": 100}
"""Families whose M-steps end where nothing is gained: extrapolation magnifies what is left."""


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    """As in a fit: more of them only wait for each other on matrices this small."""
    with threadpool_limits(1):
        yield


@cache
def problem(seed, family="full", rows=300, features=2, components=3, separation=1.2):
    random = np.random.default_rng(seed)
    means = random.normal(size=(components, features)) * separation
    labels = random.integers(components, size=rows)
    noise = random.normal(size=(rows, features)) * random.uniform(0.5, 1.5, (components, 1))[labels]
    drawn = means[labels] + noise
    return drawn, initial_mixture(Sample.of(drawn), components, family, random)


def over(rows):
    return statistics_of_sample(Sample.of(rows))


def asked(accelerate, tol=1e-8, max_iter=400, regularisation=FREE):
    return EMSettings(Stopping(tol=tol, max_iter=max_iter), regularisation, accelerate)


def candidates(rows, begin, settings):
    return [s.candidates[0] for s in iterate(over(rows), start([begin]), settings)]


def nearly_singular(mixture):
    """Whether a component has shrunk to so few rows that its density is rounding."""
    deviations = np.sqrt(mixture.variances)
    correlations = mixture.matrices / deviations[:, None] / deviations[:, :, None]
    return np.linalg.eigvalsh(correlations).min() < 1e-10


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@example(seed=16918, family="full", features=3, components=4)  # three rows in three features
@given(
    seed=st.integers(0, 10**6),
    family=st.sampled_from(sorted(FAMILIES)),
    features=st.integers(1, 3),
    components=st.integers(1, 4),
)
def test_accepted_states_never_fall(name, seed, family, features, components):
    rows, begin = problem(seed, family, 120, features, components)
    climb = candidates(rows, begin, asked(name, max_iter=60))
    for before, after in pairwise(climb):
        if nearly_singular(after.mixture):
            break
        if after.record.step == "accelerated":
            assert after.mean_log_likelihood >= before.mean_log_likelihood
        rounding = 1e-12 * max(1.0, abs(before.mean_log_likelihood))
        assert after.mean_log_likelihood >= before.mean_log_likelihood - rounding
        assert after.mean_log_likelihood == pytest.approx(
            after.mixture.log_density(rows).mean(), rel=1e-11
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_same_optimum_in_fewer_passes(name, family):
    rows, begin = problem(5, family, separation=1.0)
    plain = candidates(rows, begin, asked(None, 1e-12, 20_000))
    fewer = candidates(rows, begin, asked(name, 1e-12, 20_000))
    assert fewer[-1].converged
    assert len(plain) > 25
    assert len(fewer) < 0.7 * len(plain)
    assert fewer[-1].mean_log_likelihood == pytest.approx(plain[-1].mean_log_likelihood, abs=1e-8)
    np.testing.assert_allclose(fewer[-1].mixture.means, plain[-1].mixture.means, atol=5e-3)


@pytest.mark.parametrize("name", NAMES)
def test_easy_mixtures_take_no_more_passes(name):
    for seed in range(12):
        rows, begin = problem(seed, "diag", separation=8.0)
        plain = candidates(rows, begin, asked(None))
        assert len(candidates(rows, begin, asked(name))) <= max(1.1 * len(plain), len(plain))


def recreated(value):
    """The same from its fields alone, as a checkpoint does it, arrays copied."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, tuple):
        return tuple(recreated(item) for item in value)
    if isinstance(value, EMState | Candidate | Memory):
        return type(value)(**{f.name: recreated(getattr(value, f.name)) for f in fields(value)})
    if isinstance(value, Mixture):
        return Mixture(value.weights.copy(), value.means, value.covariances, value.family)
    return value


@pytest.mark.parametrize("name", NAMES)
def test_any_state_goes_on_with_the_same_bits(name):
    rows, begin = problem(3, "full")
    how = asked(name)
    states = [start([begin]), *iterate(over(rows), start([begin]), how)]
    assert any(s.candidates[0].accelerated for s in states)
    for state, following in pairwise(states):
        again = advance(over(rows), recreated(state), how).candidates[0]
        expected = following.candidates[0]
        assert repr(again.record) == repr(expected.record)  # NaN equals NaN here
        assert np.array_equal(as_vector(again.proposal), as_vector(expected.proposal))
        for f in fields(Memory):
            assert np.array_equal(getattr(again.memory, f.name), getattr(expected.memory, f.name))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", NAMES)
def test_memory_is_plain_data(name, family):
    rows, begin = problem(4, family)
    for candidate in candidates(rows, begin, asked(name, max_iter=12)):
        for f in fields(Memory):
            value = getattr(candidate.memory, f.name)
            assert isinstance(value, int | float) or all(type(v) is np.ndarray for v in value)
            assert type(value) is not np.float64


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_scaling_by_a_power_of_two_scales_every_pass(name, family):
    rows, begin = problem(6, family)
    scale = 2.0**20
    scaled = Mixture(begin.weights, scale * begin.means, scale**2 * begin.covariances, family)
    first = candidates(rows, begin, asked(name))
    second = candidates(scale * rows, scaled, asked(name))
    assert [c.record.step for c in first] == [c.record.step for c in second]
    error = 1e-7 * CLOSER.get(family, 1)
    np.testing.assert_allclose(
        second[-1].mixture.means, scale * first[-1].mixture.means, rtol=error
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_translation_translates(name, family):
    rows, begin = problem(6, family)
    rows = np.round(rows * 2**20) / 2**20  # so that moving them rounds nothing
    moved = Mixture(begin.weights, begin.means + 4096, begin.covariances, family)
    first = candidates(rows, begin, asked(name, max_iter=12))
    second = candidates(rows + 4096, moved, asked(name, max_iter=12))
    assert [c.record.step for c in first] == [c.record.step for c in second]
    error = 1e-6 * CLOSER.get(family, 1)
    np.testing.assert_allclose(second[-1].mixture.means - 4096, first[-1].mixture.means, atol=error)


@pytest.mark.parametrize("family", FAMILIES)
def test_chart_has_the_origin_at_zero_and_an_inverse(family):
    rows, begin = problem(7, family, features=3)
    (statistics,) = sweep(rows, [begin])
    there = maximise(statistics, family, FREE).mixture
    chart = Chart(begin)
    origin = np.zeros(chart_size(begin))
    np.testing.assert_allclose(chart.coordinates(as_vector(begin)), origin, atol=1e-15)
    back = chart.mixture(chart.coordinates(as_vector(there)))
    np.testing.assert_allclose(as_vector(back), as_vector(there), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("at_once", [1, 10**6])
@pytest.mark.parametrize("family", FAMILIES)
def test_coordinates_of_several_have_the_bits_of_each_by_itself(family, at_once, monkeypatch):
    monkeypatch.setattr("gmm_dask.mixture.acceleration.chart.AT_ONCE", at_once)
    rows, begin = problem(9, family, features=3)
    visited = [c.mixture for c in candidates(rows, begin, asked("auto", 0, 12))]
    vectors, chart = [as_vector(mixture) for mixture in visited], Chart(visited[6])
    whole = np.concatenate(
        [visited[0].weights, visited[0].means.ravel(), visited[0].covariances.ravel()]
    )
    vectors.insert(5, whole)  # as an earlier version stored it
    for together, vector in zip(chart.each(vectors), vectors, strict=True):
        np.testing.assert_array_equal(together, chart.coordinates(vector))
    np.testing.assert_array_equal(chart.coordinates(whole), chart.coordinates(vectors[0]))


def chart_size(mixture):
    # log weights are known up to a constant; covariances by all numbers that a layout keeps of them
    return mixture.weights.size + mixture.means.size + packed(mixture).size


def packed(mixture):
    return mixture.kind.layout.pack(mixture.covariances)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_plain_step_is_the_gradient_in_the_chart(family):
    rows, begin = problem(8, family, features=2)
    origin = candidates(rows, begin, asked(None, 0, 15))[-1].mixture
    (statistics,) = sweep(rows, [origin])
    chart = Chart(origin)
    step = chart.coordinates(as_vector(maximise(statistics, family, FREE).mixture))
    random = np.random.default_rng(0)
    for _ in range(5):
        towards = random.normal(size=len(step)) * 1e-5
        towards[: origin.components] -= np.sqrt(origin.weights) * (
            np.sqrt(origin.weights) @ towards[: origin.components]
        )
        up, down = (chart.mixture(sign * towards).log_density(rows).mean() for sign in (1, -1))
        # the step is the gradient to first order of itself
        size = np.linalg.norm(towards) * np.linalg.norm(step)
        assert abs((up - down) / 2 - step @ towards) < size * max(0.1, 3 * np.linalg.norm(step))


def test_expected_gain_is_what_a_slow_plain_step_gains():
    rows, begin = problem(5)
    climb = candidates(rows, begin, asked(None, 1e-7, 20_000))
    before, after = climb[-2:]
    gained = after.mean_log_likelihood - before.mean_log_likelihood
    assert 0.5 * gained < expected_gain(before.mixture, after.mixture) < 2 * gained


def too_far(secants, residual):
    """A direction that always leads downhill in the end: forty steps beyond the plain one."""
    return 40 * residual * (1 + len(secants))


def outside(secants, residual):  # noqa: ARG001
    """A direction with no mixture at its end."""
    return np.full_like(residual, np.nan)


def injected(monkeypatch, direction):
    monkeypatch.setattr(
        "gmm_dask.mixture.iteration.acceleration_named", lambda _: Extrapolation(direction, 5)
    )


def test_refused_proposals_are_recorded_and_the_plain_step_follows(monkeypatch):
    rows, begin = problem(9)
    injected(monkeypatch, too_far)
    climb = candidates(rows, begin, asked("auto", max_iter=100))
    refused = [i for i, c in enumerate(climb[:-1]) if c.record.step == "refused"]
    assert refused
    for i in refused:
        before, now, after = climb[i - 1 : i + 2]
        assert now.mixture is before.mixture
        assert now.proposal is before.plain
        assert now.iteration == before.iteration + 1
        assert now.memory.refusals == before.memory.refusals + 1
        assert now.memory.radius < before.memory.length
        assert after.record.step == "plain"
        assert after.mean_log_likelihood > now.mean_log_likelihood
    assert [c.iteration for c in climb] == list(range(len(climb)))


def test_refusals_in_a_row_wait_longer_each_time():
    memory = Memory(length=1.0)
    waits = []
    for _ in range(7):
        memory = ACCELERATIONS["squarem"].refused(memory)
        waits.append(memory.wait)
    assert waits == [0, 1, 3, 7, 15, 15, 15]


def test_while_waiting_steps_are_plain():
    rows, begin = problem(5)
    states = candidates(rows, begin, asked("auto", max_iter=6))
    last = states[-1]
    asked_again = (last.mixture, last.plain, last.mean_log_likelihood)
    before = replace(states[-2].memory, length=0.0, wait=2)
    waiting, proposal = ACCELERATIONS["auto"].propose(before, *asked_again)
    assert proposal is None
    assert waiting.wait == 1
    assert ACCELERATIONS["auto"].propose(replace(before, wait=0), *asked_again)[1] is not None


@pytest.mark.parametrize(
    ("direction", "curvatures"),
    [(quasi_newton, (0.5, 0.1, 0.02)), (anderson, (0.5, 0.1, 0.02)), (squarem, (0.02,))],
)
def test_directions_solve_a_quadratic_whose_curvature_they_have_seen(direction, curvatures):
    spectrum = np.array([*curvatures, *[1.0] * 3])
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0][:, : len(spectrum)]
    hessian = rotation * spectrum @ rotation.T
    steps = [rotation[:, i] for i in range(len(curvatures))]
    secants = [Secant(step, hessian @ step) for step in steps]
    residual = rotation @ np.arange(1.0, len(spectrum) + 1)
    if direction is squarem:  # its secant is the plain step from the point before
        first = steps[0]
        residual = first - hessian @ first
    top = np.linalg.lstsq(hessian, residual, rcond=None)[0]
    np.testing.assert_allclose(direction(secants, residual), top, rtol=1e-5, atol=1e-9)


def test_proposals_outside_the_parameter_space_are_the_plain_step(monkeypatch):
    rows, begin = problem(9)
    injected(monkeypatch, outside)
    monkeypatch.setattr("gmm_dask.mixture.acceleration.extrapolation.LARGEST_STRETCH", 1.0)
    climb = candidates(rows, begin, asked("auto", max_iter=30))
    plain = candidates(rows, begin, asked(None, max_iter=30))
    assert [c.mean_log_likelihood for c in climb] == [c.mean_log_likelihood for c in plain]


@pytest.mark.parametrize("family", FAMILIES)
def test_overflowing_coordinates_are_no_mixture(family):
    _, begin = problem(1, family)
    chart = Chart(begin)
    for value in (1e4, -1e4, np.nan):
        assert chart.mixture(np.full(chart_size(begin), value)) is None


@pytest.mark.parametrize("family", FAMILIES)
def test_proposals_are_lifted_to_the_floor(family):
    rows, begin = problem(2, family)
    (statistics,) = sweep(rows, [begin])
    how = Regularisation(reg_covar=0.25)
    thin = Mixture(begin.weights, begin.means, begin.covariances * 1e-3, family)
    above = lifted(thin, statistics, how)
    assert above.variances.min() >= 0.25
    wide = Mixture(begin.weights, begin.means, begin.kind.add(begin.covariances, 1.0), family)
    assert lifted(wide, statistics, how) is wide


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("policy", ["floor", "reseed", "drop"])
def test_too_many_components_stay_finite(name, policy):
    random = np.random.default_rng(0)
    rows = np.repeat(random.normal(size=(6, 2)), 5, axis=0)
    begin = initial_mixture(Sample.of(rows), 5, "full", random, "random")
    how = asked(name, 1e-6, 80, Regularisation(1e-6, degenerate=policy))
    for candidate in candidates(rows, begin, how):
        assert np.isfinite(candidate.mean_log_likelihood)
        assert candidate.mixture.variances.min() >= 0.9e-6


@pytest.mark.parametrize("name", NAMES)
def test_a_tiny_change_after_an_extrapolation_is_not_convergence(name):
    rows, begin = problem(5)
    end = candidates(rows, begin, asked(name, 1e-7, 2000))[-1]
    assert end.converged
    after = maximise(end.statistics, "full", FREE).mixture.log_density(rows).mean()
    assert after - end.mean_log_likelihood < 1e-7


def test_an_extrapolation_that_hardly_changes_goes_on_where_the_plain_step_would_not():
    rows, how = problem(5)[0], asked("auto", 1e-6)
    candidate = next(c for c in by_auto(1e-8) if c.accelerated)
    # the next proposal as high as where it comes from, and its plain step far higher
    same = replace(candidate, proposal=candidate.mixture, accelerated=True, reason=None)
    (after,) = advance(over(rows), EMState((same,), candidate.iteration + 1), how).candidates
    assert abs(after.record.change) < 1e-12
    assert after.reason is None


def by_auto(tol, careful=True):
    rows, begin = problem(5)
    (first,) = start([begin]).candidates
    state = EMState((replace(first, memory=Memory(careful=careful)),))
    return [s.candidates[0] for s in iterate(over(rows), state, asked("auto", tol))]


def test_auto_begins_where_plain_steps_gain_little_and_not_before():
    climb = by_auto(1e-8)
    first = next(i for i, c in enumerate(climb) if c.record.step == "accelerated")
    gains = [expected_gain(c.mixture, c.plain) for c in climb[:first]]
    assert max(gains[-2:]) <= STEADY_GAIN < max(gains)
    earlier = [c.record.step for c in by_auto(1e-8, careful=False)]
    assert earlier.index("accelerated") < first


def test_at_a_coarse_tolerance_auto_is_plain_em():
    rows, begin = problem(5)
    plain = candidates(rows, begin, asked(None, 1e-3))
    ended = [c.mean_log_likelihood for c in by_auto(1e-3)]
    assert ended == [c.mean_log_likelihood for c in plain]


def test_where_plain_steps_gain_more_than_before_a_higher_proposal_is_refused():
    auto, memory = ACCELERATIONS["auto"], Memory(length=0.1, plain_gain=1e-4)
    assert auto.strays(memory, 2e-4)
    assert not auto.strays(memory, 0.5e-4)
    assert not auto.strays(replace(memory, stretch=2.0), 2e-4)  # away from a saddle
    assert not auto.strays(replace(memory, careful=False), 2e-4)
    assert not ACCELERATIONS["anderson"].strays(memory, 2e-4)


def at_the_first_proposal():
    """The memory from which `auto` first extrapolates, and what it is asked."""
    climb = by_auto(1e-8)
    at = next(i for i, c in enumerate(climb) if c.accelerated and c.memory.stretch == 1)
    candidate = climb[at]
    asked_for = candidate.mixture, candidate.plain, candidate.mean_log_likelihood
    return climb[at - 1].memory, asked_for


def test_a_fit_that_has_saved_no_passes_spends_few_on_refused_proposals():
    (before, where), auto = at_the_first_proposal(), ACCELERATIONS["auto"]
    assert auto.propose(before, *where)[1] is not None
    assert auto.propose(replace(before, saved=-1e6), *where)[1] is None
    assert auto.propose(replace(before, saved=-1e6, careful=False), *where)[1] is not None


@pytest.mark.parametrize("gained", [-0.1, 0.3, 2.0])
def test_auto_goes_on_plainly_from_plain_steps_that_gain_not_what_the_chart_says(gained):
    before, where = at_the_first_proposal()
    other = replace(before, mean_log_likelihood=where[2] - gained * before.plain_gain)
    for name, memory, proposes in (
        ("auto", before, True),
        ("auto", other, False),
        ("auto", replace(other, careful=False), True),
        ("anderson", other, True),
    ):
        assert (ACCELERATIONS[name].propose(memory, *where)[1] is not None) == proposes


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="unknown acceleration 'warp': choose None or"):
        acceleration_named("warp")
    assert acceleration_named(None) is None
