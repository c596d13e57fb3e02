"""One pass: all kernels agree, whatever the rows' type, weights, blocks and company."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.mixture.covariance.layouts import OUTER, POOLED, SQUARES
from gmm_dask.mixture.kernels import centred
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.kernels.quadratic import QuadraticKernel
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.sweep import sweep, sweep_labels
from tests.mixture.problems import (
    FAMILY_NAMES,
    added,
    assert_alike,
    assert_same_bits,
    drawn_mixture,
    drawn_rows,
)

KERNELS = ("quadratic", "fused", "centred")
families = st.sampled_from(FAMILY_NAMES)
kernels = st.sampled_from(KERNELS)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize(("d", "k"), [(1, 1), (1, 3), (2, 2), (7, 5), (20, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_all_kernels_agree(family, d, k, weighted):
    mixture = drawn_mixture(k, d, family)
    rows = drawn_rows(700, mixture)
    weights = np.random.default_rng(2).random(700) if weighted else None
    (quadratic,), (fused,), (centred,) = (sweep(rows, [mixture], weights, [n]) for n in KERNELS)
    assert_alike(quadratic, centred, 1e-12)
    assert_alike(fused, quadratic, 1e-12)


@settings(deadline=None, max_examples=60)
@given(
    family=families,
    kernel=kernels,
    d=st.integers(1, 4),
    cuts=st.lists(st.integers(0, 300), max_size=6),
    weighted=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_split_into_blocks_agrees_with_one_block(family, kernel, d, cuts, weighted, seed):
    mixture = drawn_mixture(3, d, family, seed)
    rows = drawn_rows(300, mixture, seed)
    weights = np.random.default_rng(seed).random(300) if weighted else np.ones(300)
    blocks = list(zip(np.split(rows, sorted(cuts)), np.split(weights, sorted(cuts)), strict=True))

    def passed():
        total = None
        for part, some in blocks:
            found = sweep(part, [mixture], some if weighted else None, [kernel])
            total = found if total is None else added(total, found)
        return total[0]

    assert_alike(passed(), sweep(rows, [mixture], weights if weighted else None, [kernel])[0])
    assert_same_bits(passed(), passed())


@pytest.mark.parametrize("kernel", KERNELS)
def test_steps_within_a_block_do_not_show(kernel, monkeypatch):
    mixture = drawn_mixture(4, 6)
    rows = drawn_rows(5000, mixture)
    (whole,) = sweep(rows, [mixture], kernels=[kernel])
    monkeypatch.setattr("gmm_dask.mixture.kernels.quadratic.TEMPORARIES", 1)
    monkeypatch.setattr("gmm_dask.mixture.kernels.centred.TEMPORARIES", 1)
    (stepwise,) = sweep(rows, [mixture], kernels=[kernel])
    assert_alike(stepwise, whole, 1e-12)


def test_many_mixtures_in_one_pass_each_as_if_alone():
    company = [drawn_mixture(k, 3, family, k) for family in FAMILY_NAMES for k in (1, 2, 5)]
    rows = drawn_rows(600, company[2])
    weights = np.random.default_rng(0).random(600)
    mixed = ["quadratic", "centred", "fused"] * 4
    for names in (*([name] * 12 for name in KERNELS), mixed):
        together = sweep(rows, company, weights, names)
        for mixture, name, found in zip(company, names, together, strict=True):
            (alone,) = sweep(rows, [mixture], weights, [name])
            assert_alike(found, alone, 1e-11)


@settings(deadline=None, max_examples=40)
@given(
    family=families, kernel=kernels, seed=st.integers(0, 1000), factor=st.sampled_from([1e-9, 3e5])
)
def test_weights_are_repetitions(family, kernel, seed, factor):
    mixture = drawn_mixture(3, 2, family, seed)
    rows = drawn_rows(120, mixture, seed)
    counts = np.random.default_rng(seed).integers(0, 4, size=120)
    weighted = sweep(rows, [mixture], counts, [kernel])[0]
    repeated = sweep(np.repeat(rows, counts, axis=0), [mixture], None, [kernel])[0]
    present = sweep(rows[counts > 0], [mixture], counts[counts > 0], [kernel])[0]
    assert weighted.rows == present.rows == np.count_nonzero(counts)
    assert repeated.rows == counts.sum()
    assert_alike(present, weighted, 1e-12)
    object.__setattr__(repeated, "rows", weighted.rows)
    assert_alike(repeated, weighted, 1e-12)
    scaled = sweep(rows, [mixture], counts * factor, [kernel])[0]
    np.testing.assert_allclose(scaled.counts, factor * weighted.counts, rtol=1e-12)
    np.testing.assert_allclose(scaled.scatter, factor * weighted.scatter, rtol=1e-9, atol=factor)
    np.testing.assert_allclose(scaled.means, weighted.means, rtol=1e-9, atol=1e-9)
    assert scaled.mean_log_likelihood == pytest.approx(weighted.mean_log_likelihood, rel=1e-12)


def variants(rows):
    yield "float32", rows.astype(np.float32)
    yield "float16", rows.astype(np.float16)
    yield "big-endian float64", rows.astype(">f8")
    yield "big-endian float32", rows.astype(">f4")
    yield "int8", (rows * 10).astype(np.int8)
    yield "uint16", (rows * 10 + 500).astype(np.uint16)
    yield "int64", (rows * 10).astype(np.int64)
    yield "Fortran order", np.asfortranarray(rows)
    yield "every other row", np.repeat(rows, 2, axis=0)[::2]
    yield "every other feature", np.repeat(rows, 2, axis=1)[:, ::2]
    yield "reversed", rows[::-1, ::-1][::-1, ::-1]
    misaligned = np.zeros(rows.nbytes + 1, np.uint8)[1:].view(rows.dtype).reshape(rows.shape)
    misaligned[:] = rows
    yield "misaligned", misaligned


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_rows_of_any_type_are_read_as_float64_and_never_written(kernel, family):
    mixture = drawn_mixture(3, 4, family)
    for name, rows in variants(drawn_rows(200, mixture)):
        plain = np.ascontiguousarray(rows.astype(np.float64))
        before = rows.copy()
        rows.flags.writeable = False
        (found,) = sweep(rows, [mixture], kernels=[kernel])
        (expected,) = sweep(plain, [mixture], kernels=[kernel])
        assert_alike(found, expected, 1e-13)
        assert np.array_equal(rows, before), name


@pytest.mark.parametrize("kernel", [*KERNELS, "quadratic-float32"])
@pytest.mark.parametrize("family", ["full", "diag"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_temporaries_take_a_few_megabytes_whatever_the_block(kernel, family, dtype):
    for n, d, k in ((400_000, 4, 8), (40_000, 40, 20)):
        mixture = drawn_mixture(k, d, family, spread=0.5)
        rows = np.random.default_rng(0).standard_normal((n, d), dtype=dtype)
        tracemalloc.start()
        sweep(rows, [mixture], np.ones(n), [kernel])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 * 2**20, (n, d, k)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_rows_up_to_1e150_neither_overflow_nor_yield_nan(family, kernel):
    mixture = drawn_mixture(3, 3, family)
    for size in (1e9, 1e75, 1e150):
        rows = drawn_rows(60, mixture)
        rows[7] *= size
        (found,) = sweep(rows, [mixture], kernels=[kernel])
        for name in ("counts", "means", "remainders", "scatter"):
            assert np.isfinite(getattr(found, name)).all(), (name, size)
        assert np.isfinite([found.log_likelihood, found.entropy, found.log_max]).all()
        assert found.counts.sum() == pytest.approx(60)
        assert found.rows == 60
        assert found.weight == 60


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_distances_beyond_1e150_standard_deviations_are_cut(family, kernel):
    mixture = drawn_mixture(3, 3, family)
    narrow = Mixture(mixture.weights, mixture.means * 1e-20, mixture.covariances * 1e-40, family)
    rows = drawn_rows(60, mixture) * 1e-20
    rows[7] *= 1e160
    (found,) = sweep(rows, [narrow], kernels=[kernel])
    assert np.isfinite(found.log_likelihood)
    assert np.isfinite(found.means).all()
    assert found.counts.sum() == pytest.approx(60)


def subnormal(array):
    return (np.abs(array[array != 0]) < np.finfo(array.dtype).tiny).any()


@pytest.mark.parametrize("arithmetic", ["float64", "float32"])
def test_no_subnormal_numbers_whatever_the_distance(arithmetic):
    distances = np.concatenate([np.linspace(1, 60, 200), [1e3, 1e10]])
    rows = distances[:, None]
    mixture = Mixture([0.5, 0.5], [[0.0], [1.0]], np.ones((2, 1)), "diag")
    for weights in (None, np.full(len(rows), 1e-5)):
        kernel = QuadraticKernel([mixture], Frame.of([mixture]), arithmetic)
        assert kernel.add(rows, weights)
        assert not subnormal(kernel.posteriors[:, : len(rows)])
        assert (kernel.posteriors[:, : len(rows)] > 0).all()
    subnormals = np.exp(-0.5 * distances**2)
    assert subnormal(subnormals.astype(arithmetic))  # they would have come up


def test_the_centred_kernel_makes_no_subnormal_numbers_either(monkeypatch):
    seen = []
    original = centred.statistics_of_responsibilities

    def watched(block, posteriors, *rest):
        seen.append(posteriors)
        return original(block, posteriors, *rest)

    monkeypatch.setattr(centred, "statistics_of_responsibilities", watched)
    mixture = Mixture([0.5, 0.5], [[0.0], [1.0]], np.ones((2, 1)), "diag")
    assert centred.CentredKernel(mixture).add(np.linspace(1, 1000, 500)[:, None], None)
    assert (seen[0] > 0).all()
    assert not subnormal(seen[0])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_named(kernel, bad):
    rows = np.zeros((500, 2))
    rows[321, 1] = bad
    with pytest.raises(ValueError, match="row 321 of the block is not finite"):
        sweep(rows, [drawn_mixture(2, 2)], kernels=[kernel])


def test_blocks_without_rows():
    mixture = drawn_mixture(2, 3)
    for kernel in KERNELS:
        (found,) = sweep(np.empty((0, 3)), [mixture], kernels=[kernel])
        assert found.rows == 0
        assert np.isnan(found.mean_log_likelihood)
    assert sweep(np.zeros((3, 3)), []) == ()


@pytest.mark.parametrize(
    ("rows", "weights", "message"),
    [
        (np.zeros((4, 2)), None, "2 features, the mixture has 3"),
        (np.zeros((4, 3), complex), None, "real numbers"),
        (np.array([["a"] * 3]), None, "real numbers"),
        (np.zeros((4, 3, 1)), None, r"\(N, D\) array"),
        (np.zeros((4, 3)), np.ones(3), "need weights of shape"),
        (np.zeros((4, 3)), [1, 1, -1, 1], "row 2 has -1"),
        (np.zeros((4, 3)), [1, np.nan, 1, 1], "row 1 has nan"),
    ],
)
def test_wrong_arguments_are_named(rows, weights, message):
    with pytest.raises(ValueError, match=message):
        sweep(rows, [drawn_mixture(2, 3)], weights)


def test_as_many_kernels_as_mixtures():
    with pytest.raises(ValueError, match="2 mixtures need as many kernels, not 1"):
        sweep(np.zeros((4, 3)), [drawn_mixture(2, 3)] * 2, kernels=["centred"])


@pytest.mark.parametrize("layout", [OUTER, POOLED, SQUARES], ids=lambda layout: layout.name)
def test_labels_are_responsibilities_of_0_and_1(layout):
    rows = np.random.default_rng(0).normal(size=(90, 2)) + 1e6
    labels = np.arange(90) % 3
    found = sweep_labels(rows, labels, 4, layout)
    np.testing.assert_array_equal(found.counts, [30, 30, 30, 0])
    for k in range(3):
        np.testing.assert_allclose(found.means[k], rows[labels == k].mean(axis=0), rtol=1e-15)
        if layout == OUTER:
            expected = 30 * np.cov(rows[labels == k].T, ddof=0)
            np.testing.assert_allclose(found.scatter[k], expected, rtol=1e-8)
    assert not found.means[3].any()
    with pytest.raises(ValueError, match="whole numbers from 0 to 1"):
        sweep_labels(rows, labels, 2)
