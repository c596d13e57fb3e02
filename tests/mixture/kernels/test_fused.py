"""The compiled loops beside NumPy: exp and log, vectors, bits, the switch, the cache on disk."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from llvmlite.binding import get_host_cpu_features
from numba import njit

from gmm_dask.mixture.compilation import (
    SWITCH,
    compiler,
    compiles,
)
from gmm_dask.mixture.compiled import (
    caching,
    dense,
    products,
    separated,
    sparse,
    vectors,
)
from gmm_dask.mixture.kernels.choice import choose_kernels
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.kernels.fused import ROWS, SLAB, FusedKernel, room
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.sweep import sweep
from tests.mixture.problems import FAMILY_NAMES, assert_alike, assert_same_bits

from tests.mixture.problems import drawn_mixture, drawn_rows  # isort: skip

EPS = np.finfo(float).eps


@njit
def of_each(function, numbers):
    found = np.empty_like(numbers)
    for i in range(len(numbers)):
        found[i] = function(numbers[i])
    return found


def test_exp_and_log_are_right_to_a_unit_or_two_in_the_last_place():
    exponents = np.concatenate([np.linspace(-600, 0, 100_001), [-1e-300, -1e-17]])
    found = of_each(vectors.exp, exponents)
    np.testing.assert_allclose(found, np.exp(exponents), rtol=2 * EPS)
    numbers = np.concatenate([np.linspace(1, 100, 100_001), [1 + EPS, 1e-200, 1e200, 2**0.5]])
    np.testing.assert_allclose(of_each(vectors.log, numbers), np.log(numbers), rtol=2 * EPS)
    assert of_each(vectors.log, np.ones(1)) == 0
    assert np.isnan(of_each(vectors.exp, np.full(1, np.nan)))


def test_the_loops_run_in_vectors():
    found = njit(dense.ARGUMENTS, nogil=True, fastmath=vectors.EXACT, error_model="numpy")
    (assembly,) = found(dense.sweep.py_func).inspect_asm().values()
    lanes = re.findall(r"\bvfn?m[as][a-z0-9]+pd\b|\bfmla\b", assembly)
    assert len(lanes) > 60, "LLVM does not make vectors of the loops"
    if get_host_cpu_features().get("avx512f"):
        wide = re.findall(r"\bvfn?m[as][a-z0-9]+pd\b[^\n]*%zmm", assembly)
        assert len(wide) > 60, "LLVM makes vectors of half the width that the CPU has"


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("n", [5, 31, 256, 257, 1000])
def test_any_number_of_rows_and_components(family, n):
    for d, k in ((1, 1), (2, 3), (3, 5), (5, 6), (6, 9)):
        mixture = drawn_mixture(k, d, family)
        rows = drawn_rows(n, mixture)
        (found,) = sweep(rows, [mixture], kernels=["fused"])
        (expected,) = sweep(rows, [mixture], kernels=["quadratic"])
        assert_alike(found, expected, 1e-12)


def test_components_so_far_off_that_their_share_is_nothing():
    mixture = drawn_mixture(6, 3, spread=60)
    rows = drawn_rows(2000, mixture)
    (found,) = sweep(rows, [mixture], kernels=["fused"])
    (expected,) = sweep(rows, [mixture], kernels=["quadratic"])
    assert_alike(found, expected, 1e-12)
    assert (found.counts > 0).all()


@pytest.mark.parametrize("kind", [float, np.float32])
@pytest.mark.parametrize("features", [1, 7, 8, 9, 16, 21])
@pytest.mark.parametrize("count", [3, 8, 20])
def test_rows_are_turned_into_lines(features, count, kind):
    random = np.random.default_rng(0)
    rows = random.normal(size=(30, features)).astype(kind)
    centre, unit = random.normal(size=features), 2.0 ** random.integers(-3, 4, features)
    lines = np.zeros((features, count))
    products.standardise(rows, 5, count, centre, unit, lines)
    np.testing.assert_array_equal(lines, ((rows[5 : 5 + count] - centre) * unit).T)


@pytest.mark.parametrize(("d", "k"), [(41, 21), (50, 3), (64, 8)])
def test_features_that_have_no_room_are_made_twice(d, k):
    mixture = drawn_mixture(k, d, spread=0.2)
    assert room(k, d * (d + 3) // 2)[1] == SLAB
    rows = drawn_rows(700, mixture)
    weights = np.random.default_rng(1).random(700)
    (found,) = sweep(rows, [mixture], weights, ["fused"])
    (expected,) = sweep(rows, [mixture], weights, ["quadratic"])
    assert_alike(found, expected, 1e-12)


@pytest.mark.parametrize("kind", [float, np.float32])
@pytest.mark.parametrize(("family", "d"), [("full", 33), ("tied", 32), ("diag", 64)])
def test_rows_of_components_that_are_apart_are_added_to_their_own(family, d, kind, monkeypatch):
    """All that the sums need, also of rows that weigh little, and of a component with few rows."""
    mixture = drawn_mixture(30, d, family, spread=4)
    rows = drawn_rows(2000, mixture).astype(kind)
    weights = np.random.default_rng(1).random(2000) * np.where(np.arange(2000) % 7, 1, 1e-60)
    weights[::11] = 0
    rows[700:] = rows[699]
    monkeypatch.setattr("gmm_dask.mixture.kernels.fused.Separation.of", lambda *_: None)
    others = [mixture, drawn_mixture(7, d, family, spread=4)]
    found = sweep(rows, others, weights, ["fused"] * 2)
    expected = sweep(rows, others, weights, ["quadratic"] * 2)
    for one, other in zip(found, expected, strict=True):
        assert_alike(one, other, 1e-12)
    monkeypatch.setattr("gmm_dask.mixture.kernels.fused.NEGLIGIBLE", 0.5)
    without_most = sweep(rows, others, weights, ["fused"] * 2)
    assert (without_most[0].scatter != found[0].scatter).any()


def test_responsibilities_are_apart_where_few_of_them_count():
    random = np.random.default_rng(0)
    posteriors, counts = np.zeros((16, 256)), np.ones(16)
    posteriors[random.integers(16, size=256), np.arange(256)] = 1
    assert sparse.few_count(posteriors, counts, 1e-30, 1, 256, 400)
    assert not sparse.few_count(posteriors, counts, 1e-30, 1, 256, 40)  # too few columns
    assert not sparse.few_count(posteriors, counts, 1e-30, 16, 256, 400)  # too many mixtures
    assert sparse.few_count(posteriors + 1e-31, counts, 1e-30, 1, 256, 400)
    assert not sparse.few_count(posteriors + 1e-29, counts, 1e-30, 1, 256, 400)
    assert not sparse.few_count(posteriors + 1e-31, counts / 100, 1e-30, 1, 256, 400)
    posteriors[:, 100] = np.nan  # of rows that overflow: told by the sums of all rows
    assert sparse.few_count(posteriors, counts, 1e-30, 1, 256, 400)


def test_the_same_rows_give_the_same_bits_wherever_they_lie_in_memory():
    mixture = drawn_mixture(5, 3)
    rows = drawn_rows(1111, mixture)
    weights = np.random.default_rng(0).random(1111)
    expected = sweep(rows, [mixture], weights, ["fused"])
    for shift in range(1, 9):
        moved = np.empty(rows.size + shift)[shift:].reshape(rows.shape)
        moved[:] = rows
        assert_same_bits(sweep(moved, [mixture], weights, ["fused"]), expected)
    assert_same_bits(sweep(np.asfortranarray(rows), [mixture], weights, ["fused"]), expected)
    single = rows.astype(np.float32)
    assert_same_bits(
        sweep(single, [mixture], weights, ["fused"]),
        sweep(single.astype(float), [mixture], weights, ["fused"]),
    )


def test_the_kernel_takes_no_more_rows_at_once_than_it_says(monkeypatch):
    monkeypatch.setattr("gmm_dask.mixture.kernels.fused.STEP_VALUES", 1)
    mixture = drawn_mixture(3, 2)
    rows = drawn_rows(1500, mixture)
    assert FusedKernel([mixture], Frame.of([mixture])).step == ROWS
    (found,) = sweep(rows, [mixture], kernels=["fused"])
    monkeypatch.undo()
    assert_alike(found, sweep(rows, [mixture], kernels=["fused"])[0], 1e-12)


def test_the_switch(monkeypatch):
    mixture = drawn_mixture(2, 2)
    assert compiles()
    assert choose_kernels([mixture]) == ("fused",)
    assert re.fullmatch(r"numba [\d.]+\w* for \S+", compiler())
    monkeypatch.setenv(SWITCH, "0")
    assert not compiles()
    assert choose_kernels([mixture]) == ("quadratic",)
    assert compiler() == "none"


WITHOUT = """
    import sys
    sys.modules["numba"] = None
    import numpy as np
    from gmm_dask.mixture.kernels.choice import choose_kernels
    from gmm_dask.mixture.parameters import Mixture
    from gmm_dask.mixture.sweep import sweep
    mixture = Mixture([1.0], [[0.0]], [[[1.0]]])
    print(choose_kernels([mixture]))
    sweep(np.zeros((3, 1)), [mixture], kernels=["fused"])
"""


def test_where_numba_is_not_installed_numpy_does_all_and_a_driver_that_has_it_is_told():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WITHOUT)], capture_output=True, text=True
    )
    assert done.stdout == "('quadratic',)\n"
    assert "numba is not installed: install gmm-dask[fast] on every worker" in done.stderr


READY = """
    import sys
    from gmm_dask.mixture.kernels.fused import prepare
    for features in (SEPARATED_FROM_FEATURES - 1, SEPARATED_FROM_FEATURES):
        prepare(features)
        compiled = "gmm_dask.mixture.compiled"
        print([f"{compiled}.{which}" in sys.modules for which in ("dense", "separated")])
"""


def test_what_rows_of_so_many_features_need_is_ready_before_the_first_iteration():
    imported = "from gmm_dask.mixture.kernels.separation import SEPARATED_FROM_FEATURES"
    script = f"{imported}\n{textwrap.dedent(READY)}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[True, False]\n[True, True]\n"


DOUBLING = """
    from numba import types
    from gmm_dask.mixture.compiled.caching import cached

    @cached(types.float64(types.float64))
    def doubled(x):
        return x * 2

    print(doubled(2.0), sum(doubled.stats.cache_hits.values()))
"""


def test_processes_that_compile_at_once_share_a_cache(tmp_path):
    (tmp_path / "doubling.py").write_text(textwrap.dedent(DOUBLING))
    command = [sys.executable, tmp_path / "doubling.py"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert {process.communicate()[0].split()[0] for process in started} == {"4.0"}
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.stdout == "4.0 1\n"


def test_what_is_kept_is_compiled_anew_when_any_of_the_files_changes():
    """numba's cache looks at the file of a function, and at what it closes over."""
    for function in (dense.sweep, separated.sweep_separated):
        cells = [cell.cell_contents for cell in function.py_func.__closure__]
        assert cells == [caching.SOURCES]
    folder = Path(caching.__file__).parent
    texts = {file.name: file.read_bytes() for file in folder.glob("*.py")}
    assert crc32(b"".join(texts[name] for name in sorted(texts))) == caching.SOURCES
    assert {"pairs.py", "products.py", "softmax.py", "vectors.py"} < set(texts)


def test_without_a_place_for_a_cache_it_compiles_for_the_process(caplog):
    space = {}
    exec("def tripled(x):\n    return x * 3", space)  # nowhere on disk: no cache is possible
    assert caching.cached()(space["tripled"])(2.0) == 6.0
    assert "compiled for this process only" in caplog.text


@pytest.mark.parametrize("components", [2, 16, 64, 300])
def test_rows_that_all_components_share_do_not_overflow(components):
    """Sums of K equal exponentials, multiplied over a tile before the logarithm is taken."""
    one = Mixture([1.0], np.zeros((1, 2)), np.eye(2)[None])
    alike = Mixture(
        np.full(components, 1 / components),
        np.zeros((components, 2)),
        np.broadcast_to(np.eye(2), (components, 2, 2)),
    )
    rows = np.random.default_rng(0).normal(size=(1000, 2))
    kernel = FusedKernel([alike], Frame.of([alike]))
    assert kernel.add(rows, None)
    (found,) = kernel.statistics()
    assert found.log_likelihood == pytest.approx(one.log_density(rows).sum(), rel=1e-13)
