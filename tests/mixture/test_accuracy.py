"""The accuracy table (tests/benchmarks/accuracy) on fewer rows: the same targets."""

import pytest

from tests.benchmarks.accuracy import TARGET, cases, measured

CASES = list(cases(rows=2_100))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_covariances_are_good_to_1e_10(case):
    errors = measured(case)
    assert errors.holds, errors
    for (kernel, way), error in errors.pinned.items():
        if kernel == "centred":
            assert error < TARGET / 100, way
        elif not case.name.startswith("shrinking"):  # the bound of the mixture that went in
            assert error < 10 * errors.bound + 1e-14, way


def test_the_bound_is_not_idle():
    errors = {one.name: measured(one) for one in CASES if one.name.endswith(("1e+08 sd", "1e-08"))}
    assert errors["apart by 1e+08 sd"].pinned["quadratic", "merged"] > 1e-3
    assert errors["shrinking to sd 1e-08"].pinned["quadratic", "merged"] > 1e-3
    assert errors["shrinking to sd 1e-08"].kernel == "centred"
